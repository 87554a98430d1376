"""How an error is worded: what, where, what was expected, what was received, the likely fix."""

from __future__ import annotations

from collections.abc import Iterable

from .left_out import left_out

#: Longer lists of names are left out of an error that has near matches to offer.
LISTED = 30
#: Characters of an error about a file.
LONGEST = 4_000


class ShapeError(ValueError):
    """An array whose rank, axis length or channel count does not fit where it arrived."""


class FileError(ValueError):
    """A file whose content is damaged, hostile, or of another format than it should have."""

    def __init__(self, message: str) -> None:
        # It may quote names from the file, which are as long as the file likes.
        super().__init__(message if len(message) <= LONGEST else f"{message[:LONGEST]}...")


class NoTensorError(TypeError):
    """A value of which no tensor can be made; the op that was to take it adds its name."""


class ArgumentError(TypeError, ValueError):
    """An argument that is not what it must be: of the wrong type or out of range, whoever asks."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name nobody registered, with its near matches.

    Args:
        kind: what the name should have named, as in ``"optimizer"``.
        name: what was received.
        known: every valid name.
    """
    names = sorted(known)
    if why := left_out(f"{kind}s", name):
        return ValueError(f"Unknown {kind} {name!r}.{why}")
    hint = meant(name, names)
    listed = "" if hint and len(names) > LISTED else f" Known: {', '.join(names)}."
    return ValueError(f"Unknown {kind} {name!r}.{hint}{listed}")


def meant(name: object, known: Iterable[str]) -> str:
    """A question whether another name was meant, with a space before it; empty if none is near."""
    import difflib  # slow to import, and needed only for an error

    names = list(known)
    asked = str(name)[-100:].rpartition(">")[2].lower()  # without its package, if it has one
    near = [n for n in names if n.lower().replace("_", "") == asked.replace("_", "")]
    if not near:
        original = {n.lower(): n for n in names}
        cutoff = 0.5 if len(asked) <= 3 else 0.6  # one of two letters is half of a name
        near = [original[n] for n in difflib.get_close_matches(asked, original, cutoff=cutoff)]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def counted(number: int, what: str, several: str | None = None) -> str:
    """A number of things: ``"1 epoch"``, ``"4,000 images"``, ``"2 classes"`` (with `several`)."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"
