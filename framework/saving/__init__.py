"""Saving models: ``model.save(path)`` and `load_model`; and how classes of your own are saved.

A file (see `archive.py`) holds the configuration of every layer and every variable, by a key that
depends on the structure of the model alone (``conv2d_1/kernel``). A compiled model also saves its
optimizer, so that training goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.variable import Variable
from ..config.allowance import allowance
from ..config.checked import checked
from ..config.exports import exporting
from ..config.serialization import (
    custom_object_scope,
    deserialize,
    register,
    registered_name,
    registered_object,
    serialize,
)
from ..config.tracebacks import warn
from ..errors import FileError
from ..layers.base import placeholder_weights
from . import archive
from .archive import Archive

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize",
    "deserialize_keras_object",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize",
    "serialize_keras_object",
]

# What Keras calls them.
register_keras_serializable = register
CustomObjectScope = custom_object_scope
serialize_keras_object, deserialize_keras_object = serialize, deserialize
get_registered_name, get_registered_object = registered_name, registered_object

_VARIABLES, _OPTIMIZER = "variables/", "optimizer/"
Path = str | os.PathLike[str]
#: Weights that an error lists.
_LISTED = 100


def save_model(model: Any, filepath: Path, overwrite: bool = True) -> None:
    """Write a model to one file; see `Model.save`."""
    _may_write(filepath, overwrite)
    config = {
        "kind": "model",
        "model": serialize(model),
        "input_shape": serialize(model.input_shape) if model.built else None,
        "compile": model.get_compile_config(),
    }
    arrays = {_VARIABLES + k: v.data for k, v in model.named_variables().items()}
    if config["compile"] is not None and model.optimizer is not None:
        arrays |= {_OPTIMIZER + k: a for k, a in model.optimizer.get_state().items()}
    archive.write(filepath, config, arrays)


@checked
def load_model(
    filepath: Path,
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model in a file that `Model.save` wrote.

    Args:
        filepath: of the file.
        custom_objects: classes and functions of your own, by the names in the file, unless they are
            registered with ``gt.saving.register_keras_serializable()``.
        compile: whether to compile it as it was, with the state of its optimizer.
        safe_mode: whether the file may ask for little more memory and time than its size explains.
            False trusts it. It can run no code of its own, either way.

    Raises:
        ValueError: the file is damaged, or names a class that is not known.
        OSError: it cannot be opened.
    """
    with (
        archive.opened(filepath) as file,
        custom_object_scope(custom_objects),
        nullcontext() if safe_mode else allowance(None),
    ):
        if file.config.get("kind") != "model":
            raise FileError(
                f"{file.name!r} holds weights only: make the model, then model.load_weights(path)."
            )
        with _described(file, "its model cannot be made"), placeholder_weights():
            model = deserialize(file.config.get("model"), "model", "models")
            shape = file.config.get("input_shape")
            if shape is not None and not model.built:
                model.build(shape)
            variables = model.named_variables()
        for variable, array in _matched(file, variables):
            variable.data = array
        recipe = file.config.get("compile")
        if compile and recipe is not None:
            with _described(
                file, "it cannot be compiled as it was (compile=False leaves that out)"
            ):
                model.compile_from_config(recipe)
                keys = [k for k in file.headers if k.startswith(_OPTIMIZER)]
                if keys:
                    state = {k.removeprefix(_OPTIMIZER): file.array(k) for k in keys}
                    model.optimizer.set_state(state)
    return model


def save_weights(model: Any, filepath: Path, overwrite: bool = True) -> None:
    """Write the weights of a model to a file; see `Model.save_weights`."""
    _may_write(filepath, overwrite)
    weights = _named_weights(model)
    archive.write(
        filepath, {"kind": "weights"}, {_VARIABLES + k: v.data for k, v in weights.items()}
    )


def load_weights(model: Any, filepath: Path, skip_mismatch: bool = False) -> None:
    """Overwrite the weights of a model; see `Model.load_weights`."""
    weights = _named_weights(model)
    with archive.opened(filepath) as file:
        if file.config.get("kind") == "model":
            # A model's file also has the states of random number generators.
            weights = model.named_variables()
        matched = _matched(file, weights, skip_mismatch)
    for variable, array in matched:
        variable.assign(array)


def _named_weights(model: Any) -> dict[str, Variable]:
    if not model.built:
        raise ValueError(
            f"{type(model).__name__} {model.name!r} has no weights yet. Call "
            "model.build(input_shape), or begin the model with an Input."
        )
    weights = {id(v) for v in model.weights}
    return {k: v for k, v in model.named_variables().items() if id(v) in weights}


def _matched(
    file: Archive, variables: dict[str, Variable], skip_mismatch: bool = False
) -> list[tuple[Variable, np.ndarray]]:
    """Every variable with its array, once all of them have been checked against their headers.

    Those that do not fit are an error, or (`skip_mismatch`) a warning.
    """
    stored = {
        k.removeprefix(_VARIABLES): h for k, h in file.headers.items() if k.startswith(_VARIABLES)
    }
    wrong: list[str] = []
    fitting = dict(variables)
    for key, variable in variables.items():
        before = len(wrong)
        header = stored.get(key)
        if header is None:
            wrong.append(f"{key} ({variable.path}) is not in the file")
        elif header.shape != variable.shape:
            wrong.append(
                f"{key} ({variable.path}) has shape {variable.shape}, in the file {header.shape}"
            )
        elif header.dtype != variable.dtype:
            wrong.append(f"{key} ({variable.path}) is {variable.dtype}, in the file {header.dtype}")
        if len(wrong) > before:
            del fitting[key]
    wrong += [f"{key} is in the file only" for key in stored if key not in variables]
    if wrong:
        more = [f"and {len(wrong) - _LISTED} more"] if len(wrong) > _LISTED else []
        listed = "\n  ".join([*wrong[:_LISTED], *more])
        message = f"{file.name!r} does not fit the model:\n  {listed}"
        if not skip_mismatch:
            raise FileError(message)
        warn(f"Left out, as {message}")
    return [(v, file.array(_VARIABLES + k)) for k, v in fitting.items()]


@contextmanager
def _described(file: Archive, what: str) -> Iterator[None]:
    """Whatever a configuration can cause, as an error that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
            MemoryError) as error:  # fmt: skip
        reason = str(error) if isinstance(error, (ValueError, TypeError)) else repr(error)
        raise FileError(f"{file.name!r}: {what}: {reason}") from error


def _may_write(filepath: Path, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(filepath):
        raise FileExistsError(f"{os.fspath(filepath)!r} exists. Pass overwrite=True to replace it.")


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "name")
