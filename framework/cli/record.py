"""The folder of a training run: its model, its history, its recipe and its picture."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.reading import read_json
from ..config.writing import write_text
from .usage import UsageError

RECIPE, HISTORY, MODEL, PICTURE = "recipe.json", "history.json", "model.npz", "summary.png"
BACKUP = "backup"  # a folder that is there until the run is finished


def new_folder(out: str | Path | None, name: str, resume: bool = False) -> Path:
    """Make the folder of a run: `out`, or else the next free ``runs/name-1``, ``runs/name-2``, ...

    Args:
        resume: whether `out` may hold a run already.

    Raises:
        UsageError: `out` holds a run already, or the folder cannot be made.
    """
    folder = _numbered(name) if out is None else Path(out)
    if os.path.lexists(folder / RECIPE) and not resume:
        raise UsageError(
            f"{folder} holds a run already. Add --resume to go on with it, or choose another --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=out is not None)
    except OSError as error:
        if isinstance(error, FileExistsError) and out is None:  # somebody was faster
            return new_folder(out, name)
        raise UsageError(f"Cannot write the run: {error}.") from error
    return folder


def begun_folder(out: str | None, name: str) -> Path:
    """The folder of a run that may have begun: `out`, or else the last one that is in ``runs``."""
    return _numbered(name, last=True) if out is None else Path(out)


def _numbered(name: str, last: bool = False) -> Path:
    """The first folder that is free, or the last that is not (the first, if all are free)."""
    number = 1
    while (Path("runs") / f"{name}-{number + last}").exists():
        number += 1
    return Path("runs") / f"{name}-{number}"


def refuse_others(folder: Path, options: Mapping[str, Any]) -> None:
    """Make sure that the run in a folder, if there is one, has these options.

    Raises:
        UsageError: it has others, or its recipe cannot be read.
    """
    if not os.path.lexists(folder / RECIPE):
        return
    recipe = read_recipe(folder)
    begun, now = recipe["options"], json.loads(json.dumps(options))
    for name in now:
        if begun.get(name) != now[name]:
            raise UsageError(
                f"{folder} was begun with {_option(name, begun.get(name))}, received "
                f"{_option(name, now[name])}. Take the same options to go on with --resume, or "
                "another --out to start anew."
            )
    other = [f"{k} {v}" for k, v in recipe.get("versions", {}).items() if _versions().get(k) != v]
    if other:
        print(f"Note: this run was begun with {', '.join(other)}, so its bits may differ.")


def _option(name: str, value: Any) -> str:
    words = words_of(name, value)
    return " ".join(words) if words else f"no --{name.replace('_', '-')}"


def finish(folder: Path) -> None:
    """Remove what only a run that is not finished needs."""
    shutil.rmtree(folder / BACKUP, ignore_errors=True)


def words_of(name: str, value: Any) -> list[str]:
    """How an option is written on the command line; nothing where it is not given."""
    if value is None:
        return []
    text = (",".join(value) or "none") if name == "augment" else str(value)
    return [f"--{name.replace('_', '-')}", text] if name != "net" else [text]


def is_finished(folder: Path, epochs: int) -> bool:
    """Whether a folder holds all that a run of so many epochs leaves, and no more than that."""
    if any((folder / BACKUP).glob("*.npz")) or not (folder / MODEL).exists():
        return False
    try:
        return len(read_history(folder).get("loss", ())) == epochs
    except (OSError, ValueError):
        return False


def write_recipe(folder: Path, command: Sequence[str], options: Mapping[str, Any]) -> None:
    """Write all that is needed to repeat the run: its command, options (the seed too), versions."""
    recipe = {
        "command": shlex.join(command),
        "options": dict(options),
        "versions": _versions(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    _write(folder / RECIPE, recipe)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from .. import __version__

    return {
        "gradtape": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba")},
    }


def read_recipe(folder: Path) -> dict[str, Any]:
    """What `write_recipe` wrote.

    Raises:
        UsageError: the folder holds no run.
    """
    try:
        recipe = read_json(folder / RECIPE)
        options = recipe["options"]
        missing = [name for name in ("net", "data", "seed") if options.get(name) is None]
        odd = [k for k, v in options.items() if k in _KINDS and not _is_kind(v, *_KINDS[k])]
        if not missing and not odd and isinstance(recipe.get("versions", {}), dict):
            return recipe
        why = f"it lacks options: {', '.join(missing)}" if missing else f"{', '.join(odd)} is odd"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error)
    raise UsageError(f"{folder} holds no run of `gradtape train`: {RECIPE} cannot be read ({why}).")


#: What the options of a recipe are.
_NUMBERS = ("learning_rate", "momentum", "weight_decay", "validation_split")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("net", "data", "optimizer", "schedule"), (str,)),
    **dict.fromkeys(("epochs", "batch_size", "seed", "limit"), (int,)),
    **dict.fromkeys(_NUMBERS, (int, float)),
    "augment": (list,),
}


def _is_kind(value: Any, *kinds: type) -> bool:
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def read_history(folder: Path) -> dict[str, list[float]]:
    """What `write_history` wrote.

    Raises:
        OSError, ValueError: it cannot be read, or is something else.
    """
    history = read_json(folder / HISTORY)
    lists = isinstance(history, dict) and all(isinstance(v, list) for v in history.values())
    if not lists:
        raise ValueError(f"{folder / HISTORY} holds no history.")
    return history


def write_history(folder: Path, history: Mapping[str, Sequence[float]]) -> None:
    """Write the losses and metrics of every complete epoch, lists by name."""
    _write(folder / HISTORY, {name: [float(v) for v in values] for name, values in history.items()})


def _write(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")
