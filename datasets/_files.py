"""Where a data set's files are: a folder of the user's, the cache, the system, or a mirror."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.uint8]
DataSet: TypeAlias = tuple[tuple[Images, Labels], tuple[Images, Labels]]
Held: TypeAlias = Callable[[Path], "list[Path] | None"]


@dataclass(frozen=True)
class Published:
    """A file as its publisher released it: its name, size in bytes and SHA-256.

    Attributes:
        content: the SHA-256 of what is in it once it is decompressed, for those who have it so.
    """

    name: str
    size: int
    sha256: str
    content: str = ""


@dataclass(frozen=True)
class Source:
    """A data set: its name, also of its folder, its title, its files and their https mirrors."""

    name: str
    title: str
    files: tuple[Published, ...]
    mirrors: tuple[str, ...]


def cache_folder() -> Path:
    """``$GRADTAPE_DATA``, or ``gradtape`` in the platform's cache folder of this user."""
    if chosen := os.environ.get("GRADTAPE_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gradtape"


def system_folders() -> tuple[Path, ...]:
    """Where system packages put data sets, as Debian's ``dataset-fashion-mnist`` does."""
    if sys.platform == "win32":
        return ()
    return Path("/usr/local/share/datasets"), Path("/usr/share/datasets")


def find(source: Source, held: Held, path: str | os.PathLike[str] | None = None) -> list[Path]:
    """The files of ``source`` in the first place that holds them all, downloaded if no place does.

    Args:
        source: the data set.
        held: the files to read in a place, or ``None`` if it does not hold them all.
        path: a place to look in before all others.

    Raises:
        FileNotFoundError: no place holds the files and they could not be downloaded.
    """
    cache = cache_folder() / source.name
    places = [cache, *(root / source.name.replace("_", "-") for root in system_folders())]
    if path is not None:
        places.insert(0, Path(path).expanduser())
    files = next(filter(None, map(held, places)), None)
    if files is None:
        from ._download import download_missing

        tried = [f"{p}: {'lacks the files' if os.path.exists(p) else 'not there'}" for p in places]
        tried += download_missing(source, cache)
        # Ask the folder, not the download: another process may have completed it meanwhile.
        files = held(cache)
        if files is None:
            raise FileNotFoundError(_not_found(source, tried))
    if path is not None and held(places[0]) is None:
        warnings.warn(
            f"{places[0]} lacks the files of {source.title}: took those in {files[0].parent}.",
            stacklevel=3,
        )
    return files


def _not_found(source: Source, tried: list[str]) -> str:
    lines = "\n".join(f"  - {line}" for line in tried)
    names = ", ".join(file.name for file in source.files)
    return (
        f"{source.title} was not found. Tried:\n{lines}\n"
        f"To supply the files ({names}), put them in a folder and pass it as "
        f"gradtape.datasets.{source.name}.load_data(path=folder), or set the environment variable "
        f"GRADTAPE_DATA to a folder that holds them in {source.name}{os.sep}. "
        f"gradtape.datasets.mnist_sample needs no files."
    )
