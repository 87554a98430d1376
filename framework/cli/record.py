"""The folder of a training run: its model, its history, its recipe and its picture."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .usage import UsageError

RECIPE, HISTORY, MODEL, PICTURE = "recipe.json", "history.json", "model.npz", "summary.png"


def new_folder(out: str | None, name: str) -> Path:
    """Make the folder of a run: `out`, or else the next free ``runs/name-1``, ``runs/name-2``, ...

    Raises:
        UsageError: `out` holds a run already, or the folder cannot be made.
    """
    try:
        if out is not None:
            folder = Path(out)
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / RECIPE).exists():
                raise UsageError(f"{folder} holds a run already. Choose another --out.")
            return folder
        number = 1
        while True:
            folder = Path("runs", f"{name}-{number}")
            folder.parent.mkdir(exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise UsageError(f"Cannot write the run: {error}.") from error


def write_recipe(folder: Path, command: Sequence[str], options: Mapping[str, Any]) -> None:
    """Write all that is needed to repeat the run: its command, options (the seed too), versions."""
    from importlib.metadata import version

    from .. import __version__

    versions = {
        "gradtape": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba")},
    }
    recipe = {
        "command": shlex.join(command),
        "options": dict(options),
        "versions": versions,
        "platform": f"{sys.platform} {platform.machine()}",
    }
    _write(folder / RECIPE, recipe)


def read_recipe(folder: Path) -> dict[str, Any]:
    """What `write_recipe` wrote.

    Raises:
        UsageError: the folder holds no run.
    """
    try:
        recipe: dict[str, Any] = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        if {"net", "data", "seed"} <= recipe["options"].keys():
            return recipe
        why = "it lacks options"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error)
    raise UsageError(f"{folder} holds no run of `gradtape train`: {RECIPE} cannot be read ({why}).")


def write_history(folder: Path, history: Mapping[str, Sequence[float]]) -> None:
    """Write the losses and metrics of every complete epoch, lists by name."""
    _write(folder / HISTORY, {name: [float(v) for v in values] for name, values in history.items()})


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
