"""The command line: what `train` prints, writes and refuses, and that a run can be repeated."""

from __future__ import annotations

import builtins
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.__main__ import main

QUICK = ["train", "lenet5", "--data", "mnist_sample", "--limit", "64", "--epochs", "2"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def history_of(folder: str) -> dict[str, list[float]]:
    return json.loads(Path(folder, "history.json").read_text())


def test_train_writes_model_history_recipe_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--out", "run"]) == 0
    assert sorted(p.name for p in Path("run").iterdir()) == [
        "history.json",
        "model.npz",
        "recipe.json",
        "summary.png",
    ]
    assert Path("run/summary.png").read_bytes().startswith(b"\x89PNG")
    history = history_of("run")
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= history.keys()
    assert all(len(values) == 2 for values in history.values())
    said = capsys.readouterr().out
    for word in ("seed 0", "61,706", "After 2 epochs", "held-out", "run/", "summary.png"):
        assert word in said


def test_train_saves_the_model_that_it_trained() -> None:
    assert main([*QUICK, "--out", "run", "--no-picture"]) == 0
    model = gt.models.load_model("run/model.npz")
    _, (x, y) = gt.datasets.load("mnist_sample")
    loss, accuracy = model.evaluate(
        x[:64, ..., None].astype(np.float32) / 255, y[:64], batch_size=32, verbose=0
    )
    assert loss == pytest.approx(history_of("run")["val_loss"][-1], rel=1e-5)
    assert accuracy == pytest.approx(history_of("run")["val_accuracy"][-1], abs=1e-6)


def test_recipe_repeats_the_run_exactly() -> None:
    assert main([*QUICK, "--seed", "7", "--optimizer", "sgd", "--out", "a", "--no-picture"]) == 0
    recipe = json.loads(Path("a/recipe.json").read_text())
    assert recipe["options"]["seed"] == 7
    assert recipe["options"]["learning_rate"] == gt.optimizers.SGD().learning_rate
    assert recipe["versions"]["gradtape"] == gt.__version__
    program, *again = shlex.split(recipe["command"])
    assert program == "gradtape"
    assert main([*again, "--out", "b", "--no-picture"]) == 0
    assert history_of("a") == history_of("b")
    a, b = (gt.models.load_model(f"{run}/model.npz").get_weights() for run in "ab")
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_another_seed_is_another_run() -> None:
    for seed in "12":
        assert main([*QUICK, "--seed", seed, "--out", seed, "--no-picture"]) == 0
    assert history_of("1") != history_of("2")


def test_runs_are_numbered() -> None:
    quick = [*QUICK, "--epochs", "1", "--no-picture"]
    assert main(quick) == main(quick) == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == [
        "lenet5-mnist_sample-1",
        "lenet5-mnist_sample-2",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "lenet55"], "'lenet5'"),
        (["train", "lenet"], "'lenet5'"),
        (["train", "lenet5", "--data", "mnist_smaple"], "'mnist_sample'"),
        (["train", "lenet5", "--optimizer", "adma"], "'adam'"),
    ],
)
def test_unknown_name_is_one_line_with_near_matches(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "Did you mean" in err and said in err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [["train"], [], ["fly"], [*QUICK, "--epochs", "0"], [*QUICK, "--learning-rate", "fast"]],
)
def test_bad_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: gradtape" in capsys.readouterr().err


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"gradtape {gt.__version__}\n"


def test_one_is_not_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--limit", "1", "--epochs", "1", "--out", "run", "--no-picture"]) == 0
    said = capsys.readouterr().out
    assert "1 image to learn from" in said and "1 epoch, seed 0" in said
    assert "1 epochs" not in said and "1 images" not in said
    assert main(["evaluate", "run", "--limit", "1"]) == 0
    with pytest.raises(SystemExit):
        main(["evaluate", "run", "--limit", "-5"])
    assert "1 test image of" in capsys.readouterr().out


def test_the_net_of_1998_trains_with_its_own_loss() -> None:
    words = ["--limit", "64", "--epochs", "1", "--augment", "none", "--no-picture"]
    assert main(["train", "lenet1998", *words, "--out", "run"]) == 0
    model = gt.models.load_model("run/model.npz")
    assert isinstance(model.loss, gt.models.RBFPenalty)
    assert sum(v.size for v in model.trainable_variables) == 60_000
    assert main(["evaluate", "run", "--limit", "8"]) == 0


def test_a_run_is_never_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").mkdir()
    Path("run/recipe.json").write_text("{}")
    assert main([*QUICK, "--out", "run"]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_learned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stop(gt.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.epoch == 1:
                raise KeyboardInterrupt

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

    fit = gt.Sequential.fit
    monkeypatch.setattr(
        gt.Sequential, "fit",
        lambda *args, callbacks, **kw: fit(*args, callbacks=[*callbacks, Stop()], **kw),
    )  # fmt: skip
    assert main([*QUICK, "--epochs", "5", "--out", "run"]) == 130
    assert len(history_of("run")["val_loss"]) == 1
    assert gt.models.load_model("run/model.npz").count_params() == 61_706
    assert Path("run/summary.png").exists()
    assert capsys.readouterr().out.count("Interrupted") == 1


def test_without_matplotlib_it_says_once_how_to_get_the_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return load(name, *args, **kwargs)

    monkeypatch.delitem(__import__("sys").modules, "gradtape.plot", raising=False)
    monkeypatch.delattr(gt, "plot", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    assert main([*QUICK, "--epochs", "1", "--out", "run"]) == 0
    assert capsys.readouterr().out.count("pip install 'gradtape[plot]'") == 1
    assert Path("run/model.npz").exists()
    assert not Path("run/summary.png").exists()


def test_gradcheck_of_one_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "exp"]) == 0
    assert "exp" in capsys.readouterr().out


def test_gradcheck_of_an_unknown_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", "expp"]) == 2
    assert "'exp'" in capsys.readouterr().err


def test_evaluate_judges_the_model_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--out", "run", "--no-picture"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--limit", "64"]) == 0
    said = capsys.readouterr().out
    history = history_of("run")
    assert f"{history['val_accuracy'][-1]:.2%} of 64 test images of mnist_sample" in said
    assert f"loss {history['val_loss'][-1]:.4f}" in said


def test_evaluate_says_what_is_no_run(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (in_folder / "recipe.json").write_text('{"options": {"net": "lenet5"}}')
    for folder, why in [("nowhere", "No such file"), (".", "lacks options")]:
        assert main(["evaluate", folder]) == 2
        assert why in capsys.readouterr().err
