"""`import gradtape` is light: heavy packages come with the first thing that needs them."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "llvmlite", "scipy", "matplotlib", "tqdm", "PIL")


def _loaded_by(code: str) -> set[str]:
    """The top-level packages in `sys.modules` after `code` ran in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_import_loads_numpy_and_nothing_heavy() -> None:
    loaded = _loaded_by("import gradtape")
    assert "numpy" in loaded
    assert not loaded & set(HEAVY)


def test_import_loads_nothing_that_is_rarely_needed() -> None:
    slow = {"socket", "zipfile", "csv", "fractions", "difflib", "hashlib", "secrets", "shutil"}
    assert not (_loaded_by("import gradtape") - _loaded_by("import numpy")) & slow


def test_arithmetic_and_gradients_load_nothing_heavy() -> None:
    loaded = _loaded_by(
        "import gradtape as gt\n"
        "x = gt.tensor([1.0, 2.0], requires_grad=True)\n"
        "(x * x).sum().backward()\n"
        "assert x.grad.tolist() == [2.0, 4.0]"
    )
    assert not loaded & set(HEAVY)


def test_zoo_and_data_sets_are_there_without_loading_anything_heavy() -> None:
    loaded = _loaded_by("import gradtape as gt\ngt.models.build\ngt.datasets.load")
    assert not loaded & set(HEAVY)


def test_command_line_help_loads_nothing_heavy() -> None:
    loaded = _loaded_by(
        "from gradtape.__main__ import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0"
    )
    assert not loaded & set(HEAVY)
