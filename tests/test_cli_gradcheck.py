"""``gradtape gradcheck`` and ``gradtape mutants``: which ops, from where, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradtape.autograd.tape import OPS
from gradtape.cli import main

MINE = """
import gradtape as gt
from gradtape.samples import calls

@gt.op(gradients=(lambda g, out, x: 2 * g,), samples=calls(((3,), {}), repeats=2))
def my_double(x, /):
    return 2 * x

@gt.op(gradients=(lambda g, out, x: 2 * g,))
def my_untried(x, /):
    return 2 * x
"""


@pytest.fixture(autouse=True)
def folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_ops.py").write_text(MINE)
    (tmp_path / "broken_ops.py").write_text("1 / 0\n")
    before = dict(OPS)
    yield tmp_path
    for name in ("my_ops", "broken_ops"):
        sys.modules.pop(name, None)
    OPS.clear()
    OPS.update(before)


@pytest.mark.parametrize("command", ["gradcheck", "mutants"])
def test_ops_of_ones_own_are_imported(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "my_double", "--import", "my_ops", "--jobs", "1"]) == 0
    assert ("my_double" if command == "gradcheck" else "100.0% killed") in capsys.readouterr().out


@pytest.mark.parametrize("command", ["gradcheck", "mutants"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--import", "no_such"], "--import no_such: ModuleNotFoundError"),
        (["--import", "my_ops.py"], "Name the module, not the file: --import my_ops"),
        (["--import", "broken_ops"], "--import broken_ops: ZeroDivisionError"),
        (["--import", ""], "--import"),
        (["expp"], "Did you mean 'exp'"),
    ],
)
def test_what_cannot_be_found_is_said_in_a_line(
    command: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["gradcheck", "--order", "3"], ["gradcheck", "--order", "0"], ["gradcheck", "--thin", "0"],
        ["gradcheck", "--dtype", "float16"], ["gradcheck", "--jobs", "0"],
        ["mutants", "--jobs", "-1"], ["gradcheck", "--thin", "x"],
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "exp"])
    assert stopped.value.code == 2 and arguments[1] in capsys.readouterr().err


def test_an_op_without_samples_fails_and_has_no_mutants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["gradcheck", "my_untried", "--import", "my_ops"]) == 1
    said = capsys.readouterr().out
    assert "FAILED: my_untried" in said and "has no samples" in said
    assert main(["mutants", "my_untried"]) == 2
    assert "has no samples" in capsys.readouterr().err
    assert main(["mutants", "argmax"]) == 2
    assert "no gradient rule to break in argmax" in capsys.readouterr().err


def test_a_report_of_an_op_without_docstring_is_written(folder_of_ones_own: Path) -> None:
    page = folder_of_ones_own / "page.md"
    options = ["--import", "my_ops", "--report", str(page), "--jobs", "1"]
    assert main(["gradcheck", "my_double", *options]) == 0
    assert "| `my_double` |" in page.read_text()
    assert main(["gradcheck", "my_double", "--report", "nowhere/page.md"]) == 2
    assert main(["gradcheck", "my_double", "--report", str(folder_of_ones_own)]) == 2
