"""How an error is worded: what, where, what was expected, what was received, the likely fix."""

from __future__ import annotations

from collections.abc import Iterable

#: Longer lists of names are left out of an error that has near matches to offer.
LISTED = 30


class ShapeError(ValueError):
    """An array whose rank, axis length or channel count does not fit where it arrived."""


class FileError(ValueError):
    """A file whose content is damaged, hostile, or of another format than it should have."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name nobody registered, with its near matches.

    Args:
        kind: what the name should have named, as in ``"optimizer"``.
        name: what was received.
        known: every valid name.
    """
    names = sorted(known)
    original = {n.lower(): n for n in names}
    import difflib  # slow to import, and needed only for an error

    near = difflib.get_close_matches(str(name).lower(), original, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(original[n]) for n in near)}?" if near else ""
    listed = "" if near and len(names) > LISTED else f" Known: {', '.join(names)}."
    return ValueError(f"Unknown {kind} {name!r}.{hint}{listed}")
