"""The code in README.md and CONTRIBUTING.md runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    """The Python code of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_code_on_the_page_runs(page: str, tmp_path: Path) -> None:
    """Each block by itself, in the package of the file that its first line names."""
    assert blocks(page)
    for code in blocks(page):
        folder = re.match(r"# (framework|models)/(\w*)", code)
        package = "__main__"
        if folder:
            package = f"gradtape.{folder[2]}" if folder[1] == "framework" else "gradtape.models"
        run = subprocess.run(
            [sys.executable, "-c", f"__package__ = {package!r}\nimport gradtape\n{code}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert run.returncode == 0, f"{code}\n{run.stderr}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_file_names_on_the_page_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    made = ("runs", "framework/kernels/example.py")
    names = re.findall(
        r"\]\(([\w./]+)\)|`((?:framework|models|datasets|tests|tutorials)/[\w./]*)`", text
    )
    for name in {a or b for a, b in names} - set(made):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_on_the_page_exist(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", text, flags=re.MULTILINE))
    assert named and named <= targets, named - targets
