"""The code on the pages runs as it stands; commands, files and tests that they name are there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gradtape.cli import main

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> list[str]:
    """The Python code of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


#: Runs each block as a script of its own, on few images; a process costs more than most blocks.
RUN = """
import json, sys
import gradtape
load = gradtape.datasets.load
gradtape.datasets.load = lambda name: tuple((x[:640], y[:640]) for x, y in load(name))
for package, code in json.loads(sys.argv[1]):
    print(code, flush=True)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__", "__package__": package})
"""


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_code_on_the_page_runs(page: str, tmp_path: Path) -> None:
    """Each block by itself, in the package of the file that its first line names."""
    found = []
    for code in blocks(page):
        folder = re.match(r"# (framework|models)/(\w*)", code)
        package = "__main__"
        if folder:
            package = f"gradtape.{folder[2]}" if folder[1] == "framework" else "gradtape.models"
        found.append((package, code))
    assert found
    run = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(found)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/trust.md"])
def test_links_and_file_names_on_the_page_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    made = ("runs", "framework/kernels/example.py")
    names = re.findall(
        r"\]\(([\w./]+)\)|`((?:framework|models|datasets|tests|tutorials)/[\w./]*)`", text
    )
    for name in {a or b for a, b in names} - set(made):
        assert (ROOT / name).exists() or (ROOT / page).with_name(name).exists(), name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/trust.md"])
def test_make_targets_on_the_page_exist(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", text, flags=re.MULTILINE))
    assert named and named <= targets, named - targets


#: A table's rows: the last column has a command, but for what no command repeats.
TRUST = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_every_line_of_what_is_trusted_has_a_command_that_repeats_it() -> None:
    rows = [line for line in TRUST.splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not row.endswith("| repeat |")]
    assert len(claims) > 12
    for row in claims:
        last = row.rstrip(" |").rpartition("| ")[2]
        assert re.fullmatch(r"`(make|gradtape) [^`]+`", last), row


def test_commands_of_what_is_trusted_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"`gradtape ([^`]+)`", TRUST))
    assert commands
    for command, *options in map(shlex.split, commands):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0, command
        known = capsys.readouterr().out
        assert all(o in known for o in options if o.startswith("--")), (command, options)
    for arguments in re.findall(r'PYTEST_ARGS="([^"]+)"', TRUST):
        for name in shlex.split(arguments):
            assert (ROOT / name).is_file(), name


def test_no_page_says_proven_of_what_is_checked_on_samples() -> None:
    strong = re.compile(
        r"(prov\w+ every|every \w+(, | is )prov|correctness is prov)", re.IGNORECASE
    )
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", ROOT / "setup.cfg"]
    pages += [*(ROOT / "docs").glob("*.md"), *(ROOT / "tutorials").glob("*.py")]
    assert len(pages) > 8
    said = [f"{p.name}: {m[0]}" for p in pages for m in strong.finditer(p.read_text("utf-8"))]
    assert said == []
