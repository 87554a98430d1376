"""A run of `gradtape train` that was interrupted, and what `--resume` makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gradtape as gt
from gradtape.__main__ import main

QUICK = ["train", "mlp", "--limit", "48", "--epochs", "3", "--batch-size", "16", "--no-picture"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Stop(gt.callbacks.Callback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.at, self.epoch = epoch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (self.at, 1):
            raise KeyboardInterrupt


def interrupted(monkeypatch: pytest.MonkeyPatch, epoch: int, *words: str) -> None:
    """Run the command and interrupt it."""
    fit = gt.Model.fit
    with monkeypatch.context() as patch:
        patch.setattr(
            gt.Model, "fit",
            lambda *args, callbacks, **kw: fit(*args, callbacks=[*callbacks, Stop(epoch)], **kw),
        )  # fmt: skip
        assert train(*words) == 130


def train(*words: str) -> int:
    """Run the command as in a process of its own, where names are numbered from the start."""
    gt.utils.clear_session()
    return main([*QUICK, *words])


def files(folder: str) -> dict[str, bytes]:
    found = [p for p in Path(folder).rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("more", [[], ["--backup-every", "2"]])
def test_an_interrupted_run_goes_on_to_the_same_files(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    epoch: int,
    more: list[str],
) -> None:
    assert train("--out", "whole") == 0
    interrupted(monkeypatch, epoch, *more, "--out", "run")
    assert "The same command with --resume goes on" in capsys.readouterr().out
    assert train(*more, "--out", "run", "--resume") == 0
    assert files("run") == files("whole")


def test_a_run_is_not_begun_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch, 1, "--out", "run")
    before = files("run")
    assert train("--out", "run") == 2
    assert "--resume to go on with it, or choose another --out" in capsys.readouterr().err
    assert files("run") == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--epochs", "4"], "begun with --epochs 3, received --epochs 4"),
        (["--augment", "none"], "--augment shift,turn,zoom, received --augment none"),
        (["--limit", "47"], "--limit 48, received --limit 47"),
    ],
)
def test_changed_options_are_named(
    changed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--out", "run") == 0
    assert train(*changed, "--out", "run", "--resume") == 2
    assert said in capsys.readouterr().err
    assert main(["train", "lenet5", *QUICK[2:], "--out", "run", "--resume"]) == 2
    assert "begun with mlp, received lenet5" in capsys.readouterr().err


def test_an_option_that_was_not_given_is_named() -> None:
    Path("run").mkdir()
    assert train("--out", "run") == 0
    recipe = json.loads(Path("run/recipe.json").read_text())
    assert (
        main([w for w in QUICK if w not in ("--limit", "48")] + ["--out", "run", "--resume"]) == 2
    )
    assert json.loads(Path("run/recipe.json").read_text()) == recipe


def test_a_finished_run_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out", "run") == 0
    before = files("run")
    capsys.readouterr()
    assert train("--out", "run", "--resume") == 0
    said = capsys.readouterr().out
    assert said.startswith("run is finished: After 3 epochs") and len(said.splitlines()) == 1
    assert files("run") == before


@pytest.mark.parametrize("there", [False, True])
def test_what_has_not_begun_begins(there: bool) -> None:
    if there:
        Path("run").mkdir()
    assert train("--out", "whole") == train("--out", "run", "--resume") == 0
    assert files("run") == files("whole")


def test_without_a_folder_the_last_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train("--epochs", "1") == 0
    interrupted(monkeypatch, 1)
    assert train("--resume") == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == [
        "mlp-mnist_sample-1",
        "mlp-mnist_sample-2",
    ]
    assert not Path("runs/mlp-mnist_sample-2/backup").exists()


def test_a_damaged_backup_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch, 2, "--out", "run")
    backup = Path("run/backup/latest.npz")
    whole = backup.read_bytes()
    backup.write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert train("--out", "run", "--resume") == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert "latest.npz" in said and "damaged" in said
    shutil.rmtree("run/backup")
    assert train("--out", "run", "--resume") == 0


def test_other_versions_are_mentioned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(monkeypatch, 1, "--out", "run")
    path = Path("run/recipe.json")
    recipe = json.loads(path.read_text())
    recipe["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(recipe))
    assert train("--out", "run", "--resume") == 0
    assert "begun with numpy 1.0" in capsys.readouterr().out
