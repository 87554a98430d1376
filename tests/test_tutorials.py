"""Every tutorial runs from top to bottom, asserts its own claims, and opens as a notebook."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "tutorials").glob("*.py"))
#: Nothing that is deprecated is used, but for what older versions of Matplotlib use themselves.
RUN = """
import runpy, sys, warnings
warnings.simplefilter("error", DeprecationWarning)
warnings.filterwarnings("ignore", category=DeprecationWarning, module="matplotlib|pyparsing")
runpy.run_path(sys.argv[1], run_name="__main__")
"""
by_name = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def cells(source: str) -> list[tuple[str, str]]:
    """The cells of a percent-format file: what kind, ``""`` for code, and the text."""
    parts = re.split(r"^# %%(.*)\n", source, flags=re.MULTILINE)
    assert not parts[0].strip(), "text before the first cell"
    return [(kind.strip(), text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def test_there_are_tutorials() -> None:
    assert len(TUTORIALS) >= 2


#: `make tutorials` runs them all, `make test` the first.
RUN_HERE = TUTORIALS if os.environ.get("GRADTAPE_THOROUGH", "0") != "0" else TUTORIALS[:1]


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: path.stem)
def test_tutorial_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


@by_name
def test_tutorial_opens_as_a_notebook(path: Path) -> None:
    """In the percent format: prose is commented out, and each code cell is complete by itself."""
    found = cells(path.read_text(encoding="utf-8"))
    assert found[0][0] == "[markdown]" and found[0][1].startswith("# # "), "no title"
    for kind, text in found:
        if kind == "[markdown]":
            assert all(line.startswith("#") for line in text.strip().splitlines()), text
        else:
            assert kind == "", f"unknown cell marker {kind!r}"
            assert ast.parse(text).body, "an empty code cell"


@by_name
def test_tutorial_asserts_its_claims(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert len(checks) >= 10
