"""Names: snake case from a class, a number if it is taken, and the path of what is being built."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_taken: Counter[str] = Counter()


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.names: list[str] = []


_scopes = _Scopes()


def snake_case(name: str) -> str:
    """The instance name of a class: ``MaxPooling2D`` to ``max_pooling2d``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def is_own(thing: Any) -> bool:
    """Whether a class or function is of this package, so that it does what we know it does."""
    return str(thing.__module__).partition(".")[0] == __name__.partition(".")[0]


def unique_name(prefix: str, taken: Counter[str] | None = None) -> str:
    """`prefix` the first time, then ``prefix_1``, ``prefix_2``.

    Args:
        taken: how often each prefix was used; None counts over the whole process.
    """
    counter = _taken if taken is None else taken
    number = counter[prefix]
    counter[prefix] += 1
    return f"{prefix}_{number}" if number else prefix


def reset_names() -> None:
    """Start the numbering of names again, as in a new process."""
    _taken.clear()


@contextmanager
def name_scope(name: str) -> Iterator[None]:
    """Variables made inside have ``name/`` in front of their path. Per thread."""
    _scopes.names.append(name)
    try:
        yield
    finally:
        _scopes.names.pop()


def scoped(name: str) -> str:
    """The path of `name` within the open scopes, as in ``lenet5/conv2d/kernel``."""
    return "/".join([*_scopes.names, name])
