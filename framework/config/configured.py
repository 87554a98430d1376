"""What an object was made with, said by its constructor's signature and its attributes."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np

from .checked import Checked
from .naming import is_own
from .serialization import serialize

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Configured(Checked):
    """Base of what is saved as its class and the arguments that make it again.

    Each argument is an attribute of its name, or of that with an underscore in front where the
    public one shows something else. Of those that a user's class adds, the ones are said that are
    attributes and plain data: a class with others defines its own `get_config`.

    Attributes:
        unsaid: arguments that only the constructor needs, or that a base class takes.
    """

    unsaid: tuple[str, ...] = ()

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in said(self).items())
        return f"{type(self).__name__}({given})"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this object again.

        Raises:
            TypeError: a user's class needs an argument that is not said.
        """
        config, cls = said(self), type(self)
        takes = inspect.signature(cls).parameters.values()
        needs = [p.name for p in takes if p.kind in _NAMED and p.default is p.empty]
        unsaid = [name for name in needs if name not in config]
        if unsaid and cls.get_config is Configured.get_config:
            raise TypeError(
                f"{cls.__name__} must define get_config(self) to be saved: a dict of its "
                f"arguments, because {', '.join(unsaid)} is no attribute that is plain data."
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The object that `get_config` described."""
        return cls(**config)


def said(thing: Any, base: type = Configured, ours: bool = False) -> dict[str, Any]:
    """The arguments that the class of an object takes, as its attributes hold them.

    Args:
        thing: the object.
        base: one of its base classes, whose own arguments are left out.
        ours: leave out those of a user's classes, too.
    """
    cls: type = type(thing)
    names = arguments_of(cls, base)
    held = {name: _held(thing, name) for name, own in names.items() if own}
    config = {name: v if is_plain(v) else serialize(v) for name, v in held.items()}
    if not ours:
        held = {name: getattr(thing, name, ...) for name, own in names.items() if not own}
        config |= {name: v for name, v in held.items() if is_plain(v)}
    return config


def _held(thing: Any, name: str) -> Any:
    private = f"_{name}"
    return vars(thing)[private] if private in vars(thing) else getattr(thing, name)


@cache
def arguments_of(cls: type, base: type) -> dict[str, bool]:
    """What a constructor takes, and those it hands the rest on to, but for that of `base`.

    Returns:
        Of each name whether the class that takes it is of this package.
    """
    names: dict[str, bool] = {}
    for kind in cls.__mro__[: cls.__mro__.index(base)]:
        if "__init__" not in vars(kind) or "get_config" in vars(kind):
            continue  # nothing to say, or said in the class's own words
        parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
        for p in parameters:
            if p.kind in _NAMED and p.name != "self":
                names.setdefault(p.name, is_own(kind))
        if is_own(kind) and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    common = inspect.signature(base.__init__).parameters  # type: ignore[misc]
    left_out = {*common, *getattr(cls, "unsaid", ())}
    return {name: own for name, own in names.items() if name not in left_out}


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a string or None, or lists or dicts of them."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    return value is None or isinstance(value, (bool, int, float, str, np.generic))
