"""Objects as plain data and back, through a closed list of known classes.

A saved object is ``{"class_name": "layers>Dense", "config": {...}}``. Loading looks the name up in
the list of what was registered; it never imports, evaluates or unpickles what a file names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from ..errors import unknown_name
from .allowance import spend
from .naming import snake_case

T = TypeVar("T")

#: In front of the names of what the zoo registers. It is loaded when first asked for.
_ZOO = "gradtape.models>"

#: What an object takes which a configuration describes: less memory than this, but also time.
_OBJECT = 16_000

#: Every class and function that a configuration may name, by ``"package>Name"``.
_known: dict[str, Any] = {}
_names: dict[Any, str] = {}


class _Custom(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}


_custom = _Custom()


def register(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Decorator: let configurations name this class or function.

    Args:
        package: keeps equal names of different libraries apart.
        name: the name within the package. Default: the name of the class or function.

    Raises:
        ValueError: the name belongs to something else.
    """

    def enter(thing: T) -> T:
        full = f"{package}>{name or thing.__name__}"  # type: ignore[attr-defined]
        held = _known.get(full)
        # The same definition run again, as a notebook cell is, replaces the old one.
        if held is not None and _origin(held) != _origin(thing):
            raise ValueError(
                f"{full!r} is already registered, for {held!r}. Pass another name or package."
            )
        _known[full] = thing
        _names[thing] = full
        return thing

    return enter


def _origin(thing: Any) -> tuple[str, str]:
    return thing.__module__, thing.__qualname__


@contextmanager
def custom_object_scope(objects: dict[str, Any] | None) -> Iterator[None]:
    """Configurations inside may also name these classes and functions. Per thread."""
    before = _custom.objects
    _custom.objects = {**before, **(objects or {})}
    try:
        yield
    finally:
        _custom.objects = before


def registered_name(thing: Any) -> str:
    """The name by which configurations know a class or function: its own, if not registered."""
    return _names.get(thing) or thing.__name__


def registered_object(name: str) -> Any:
    """The class or function registered under this name, or passed to a scope; None if none is."""
    return _custom.objects.get(name, _known.get(name))


def lookup(name: str, kind: str = "object", package: str | None = None) -> Any:
    """The class or function that a configuration calls `name`.

    Args:
        kind: what to call it in the error.
        package: where to look for a name that does not say its package.

    Raises:
        ValueError: nothing of that name was registered.
    """
    if name.startswith(_ZOO) and name not in _known:
        import_module("..models", __package__)  # registers the layers of its nets
    for candidate in (name, f"{package}>{name}", f"Custom>{name}"):
        for table in (_custom.objects, _known):
            if candidate in table:
                return table[candidate]
    known = {n.partition(">")[2] for n in _known if package is None or n.startswith(f"{package}>")}
    error = unknown_name(kind, name, known | set(_custom.objects))
    raise ValueError(
        f"{error} One of your own must be registered with "
        "@gt.saving.register_keras_serializable(), or passed in custom_objects."
    )


def serialize(value: Any) -> Any:
    """`value` as data that JSON can hold: objects by their `get_config`, functions by their name.

    Raises:
        TypeError: there is no way to write it down.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [serialize(v) for v in value]
    if isinstance(value, dict):
        return {k: serialize(v) for k, v in value.items()}
    if isinstance(value, np.dtype):
        return value.name
    if hasattr(value, "get_config") and not isinstance(value, type):
        config = {k: serialize(v) for k, v in value.get_config().items()}
        return {"class_name": registered_name(type(value)), "config": config}
    if callable(value) and hasattr(value, "__name__"):
        if value.__name__ == "<lambda>":
            raise TypeError(
                "A lambda cannot be saved. Define a function with a name and register it with "
                "@gt.saving.register_keras_serializable()."
            )
        return registered_name(value)
    raise TypeError(f"{value!r} cannot be saved: {type(value).__name__} has no get_config().")


def deserialize(config: Any, kind: str = "object", package: str | None = None) -> Any:
    """The object that `serialize` wrote down.

    Args:
        config: ``{"class_name": name, "config": arguments}``.
        kind: what it should be, for the error.
        package: where to look for a name that does not say its package.

    Raises:
        ValueError: an unknown class, arguments it does not take, or no configuration at all.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ValueError(
            f"The configuration of a {kind} must look like {{'class_name': ..., 'config': ...}}, "
            f"received {_shortened(config)}."
        )
    spend(_OBJECT, f"the {kind}s that it describes")
    cls = lookup(config["class_name"], kind, package)
    arguments = config.get("config", {})
    if not isinstance(cls, type) or not isinstance(arguments, dict):
        raise ValueError(f"{_shortened(config)} is not the configuration of a {kind}.")
    try:
        if hasattr(cls, "from_config"):
            return cls.from_config(arguments)
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} cannot be made from its configuration: {error}"
        ) from error


def deserializer(get: Callable[[Any], Any]) -> Callable[..., Any]:
    """The `deserialize` of a module, from its `get`.

    It takes what `serialize` returned, and as `custom_objects` classes and functions of your own by
    the names in there, unless they are registered.
    """

    def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """The object that `serialize` wrote down.

        Args:
            config: what `serialize` returned.
            custom_objects: classes and functions of your own that are not registered, by name.

        Raises:
            ValueError: it names nothing that is known.
        """
        with custom_object_scope(custom_objects):
            return get(config)

    # Of the module that asked for it, so that it can be pickled by reference.
    deserialize.__module__, deserialize.__qualname__ = get.__module__, deserialize.__name__
    return deserialize


def resolve(identifier: Any, kind: str, package: str, table: dict[str, Any]) -> Any:
    """What the user means by a name, a class, a configuration, or the object itself.

    Args:
        kind: as in ``"initializer"``, for the error.
        package: the package of the built-in classes.
        table: every built-in class or function by each of its spellings.

    Raises:
        ValueError: an unknown name, or something that is not callable.
    """
    if isinstance(identifier, str):
        if identifier in table:
            identifier = table[identifier]
        elif ">" in identifier or identifier in _custom.objects:
            identifier = lookup(identifier, kind)
        else:
            raise unknown_name(kind, identifier, table)
    elif isinstance(identifier, dict):
        identifier = deserialize(identifier, kind, package)
    if isinstance(identifier, type):
        identifier = identifier()
    if identifier is not None and not callable(identifier):
        raise ValueError(
            f"Expected the name of an {kind}, its configuration or a callable, received "
            f"{_shortened(identifier)}."
        )
    return identifier


def spellings(classes: Iterable[type]) -> dict[str, type]:
    """The classes by their names, as written (``GlorotUniform``) and in snake case."""
    return {n: c for c in classes for n in (c.__name__, snake_case(c.__name__))}


def _shortened(value: Any, length: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= length else text[:length] + "..."
