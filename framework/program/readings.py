"""What the code of a function reads beside its arguments, to see whether it still says the same."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..config.naming import is_own

#: What is the same as long as it is the same object, as far as functions of elements read it.
_FIXED = (bool, int, float, str, bytes, type(None), CodeType)
_MODULES = {"math", "numpy", __name__.partition(".")[0]}
_MISSING = object()


class Readings:
    """The global names and outer variables that functions read, theirs included that they call.

    Args:
        functions: of users; those of this package read nothing that changes.

    Attributes:
        known: False if among them is what may change in place, or is no Python.
    """

    def __init__(self, functions: list[Callable[..., Any]]) -> None:
        self._found: list[tuple[Callable[[], Any], Any]] = []
        self.known = True
        seen: set[Any] = set()
        while functions and self.known:
            function = functions.pop()
            if is_own(function) or function in seen:
                continue
            seen.add(function)
            if not isinstance(function, FunctionType):
                self.known = False
                return
            for read in _places(function):
                value = read()
                self._found.append((read, value))
                if isinstance(value, FunctionType):
                    functions.append(value)
                elif not _is_fixed(value):
                    self.known = False

    def same(self) -> bool:
        """Whether all that is read is what it was."""
        return self.known and all([read() is value for read, value in self._found])


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] in _MODULES
    if isinstance(value, _FIXED) or value is _MISSING:
        return True
    module = getattr(value, "__module__", None) or ""
    return callable(value) and str(module).partition(".")[0] in (*_MODULES, builtins.__name__)


def _places(function: FunctionType) -> Iterator[Callable[[], Any]]:
    """For all that a function reads how to read it."""
    yield lambda: function.__code__
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for name in names:
        yield partial(function.__globals__.get, name, _MISSING)
    for cell in function.__closure__ or ():
        yield partial(getattr, cell, "cell_contents", _MISSING)
    yield lambda: function.__defaults__
    named = function.__kwdefaults__ or {}
    yield from (partial(named.get, name) for name in named)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
