"""`clone_model`: the same layers again, connected the same way, with weights of their own."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from ..autograd.tree import tree_leaves
from ..config.checked import checked
from ..config.serialization import custom_object_scope, deserialize
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.topology import tensors_from_config
from .model import Model
from .sequential import Sequential


@checked
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    recursive: bool = False,
) -> Any:
    """A model like another one, with fresh weights.

    A compiled model gives a clone that is compiled in the same way, its optimizer at the beginning.

    Args:
        model: a `Sequential` or functional model, or one of your own with `get_config`.
        input_tensors: what `Input` returned, to build the clone on. Default: inputs of its own.
        clone_function: called with each layer but the inputs; returns the one to use in its place,
            a copy, another layer, or the very same to share its weights. Default: a copy.
        recursive: whether models among the layers are cloned in the same way, layer by layer.

    Returns:
        A `Sequential` or a functional `Model`.

    Raises:
        ValueError: `input_tensors` do not fit the inputs, or the model is a subclass and a
            `clone_function` was given: which layers its `call` uses, nobody can know.
        TypeError: a layer cannot be written down, or `clone_function` returned no layer.
    """
    clone = _cloned(model, input_tensors, clone_function, recursive)
    if model.compiled:
        _compile_alike(clone, model)
    return clone


def _cloned(model: Any, input_tensors: Any, clone_function: Any, recursive: bool) -> Any:
    make = clone_function or _again
    if isinstance(model, Sequential):
        return _sequential(model, input_tensors, _walking(make, recursive))
    if getattr(model, "_topology", None) is not None:
        return _functional(model, input_tensors, _walking(make, recursive))
    if not isinstance(model, Model):
        raise TypeError(f"clone_model() expects a model, received {type(model).__name__}.")
    if clone_function is not None or input_tensors is not None:
        raise ValueError(
            f"{type(model).__name__} {model.name!r} is a subclass: only its call() knows how its "
            "layers are connected, so it can be cloned as a whole only, without clone_function and "
            "input_tensors."
        )
    return _again(model)


def _compile_alike(clone: Any, model: Any) -> None:
    """Compile a clone as the model was, with objects of its own that have seen no data."""
    recipe = copy.deepcopy(model._recipe, {id(model): clone})  # a method of the one, of the other
    if recipe["optimizer"] is not None:
        recipe["optimizer"] = _again(recipe["optimizer"])
    clone.compile(**recipe)
    for metric in clone.metrics:
        metric.reset_state()


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The model that ``model.to_json()`` described, with fresh weights.

    Raises:
        ValueError: it is no such text, or names a class that is not known.
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model_from_json() expects what to_json() wrote: {error}.") from error
    with custom_object_scope(custom_objects):
        return deserialize(config, "model", "models")


def _again(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _walking(make: Callable[[Any], Any], recursive: bool) -> Callable[[Any], Any]:
    """`make`, checked, and for models among the layers `clone_model` where that is wanted."""

    def walk(layer: Any) -> Any:
        inner = isinstance(layer, Sequential) or getattr(layer, "_topology", None) is not None
        made = clone_model(layer, None, make, True) if recursive and inner else make(layer)
        if not isinstance(made, Layer):
            raise TypeError(
                f"clone_function must return a layer, returned {type(made).__name__} for "
                f"{type(layer).__name__} {layer.name!r}."
            )
        return made

    return walk


def _sources(model: Any, tensors: Any) -> list[Any]:
    """The `InputLayer`s of given tensors.

    Raises:
        ValueError: there are too many, too few, or they are no inputs.
    """
    found = [getattr(getattr(t, "call", None), "layer", None) for t in tree_leaves(tensors)]
    count = len(model.inputs)
    if len(found) != count or not all(isinstance(layer, InputLayer) for layer in found):
        raise ValueError(
            f"clone_model() of {model.name!r} needs {count} input tensor{'s' if count > 1 else ''} "
            f"that gt.Input(shape) returned, received {tensors!r}."
        )
    return found


def _sequential(model: Sequential, tensors: Any, make: Callable[[Any], Any]) -> Sequential:
    layers = [make(layer) for layer in model.layers]
    if tensors is not None:
        layers.insert(0, _sources(model, tensors)[0])
    clone = Sequential(layers, trainable=model.get_config()["trainable"], name=model.name)
    shape = model.get_config()["build_input_shape"]
    if shape is not None and not clone.built:
        clone.build(shape)
    return clone


def _functional(model: Any, tensors: Any, make: Callable[[Any], Any]) -> Any:
    topology = model._topology
    given = iter([] if tensors is None else _sources(model, tensors))
    layers = [
        next(given, None) or _again(layer) if isinstance(layer, InputLayer) else make(layer)
        for layer in topology.made
    ]
    inputs, outputs = tensors_from_config(topology.get_config(), layers)
    return Model(inputs, outputs, name=model.name)
