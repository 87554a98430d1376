"""Dense layers and activations."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from ...autograd.tape import OPS
from ...ops.axes import axis_tuple
from ..graph import Graph, NotNative, layer_names
from .layouts import along_channels

_NO_LIMIT = float("nan")
_SELU = (1.6732632423543772, 1.0, 1.0507009873554805)

#: For each activation, from its settings: an expression of `kernels.activations`, and the settings
#: of that one.
POINTWISE: dict[str, Callable[..., tuple[str, tuple[float, ...]]]] = {
    "relu": lambda negative_slope, max_value, threshold: (
        "rectified",
        (negative_slope, threshold, _NO_LIMIT if max_value is None else max_value),
    ),
    "leaky_relu": lambda negative_slope: ("rectified", (negative_slope, 0.0, _NO_LIMIT)),
    "relu6": lambda: ("clipped", (0.0, 0.0, 6.0, 1.0)),
    "hard_tanh": lambda: ("clipped", (0.0, -1.0, 1.0, 1.0)),
    "hard_sigmoid": lambda: ("clipped", (3.0, 0.0, 6.0, 1 / 6)),
    "sparse_sigmoid": lambda: ("clipped", (1.0, 0.0, 2.0, 0.5)),
    "hard_silu": lambda: ("gated", (3.0, 0.0, 6.0, 1 / 6)),
    "elu": lambda alpha: ("exponential_unit", (alpha, 1.0, 1.0)),
    "celu": lambda alpha: ("exponential_unit", (alpha, 1 / alpha, 1.0)),
    "selu": lambda: ("exponential_unit", _SELU),
    "exp": lambda: ("exponential", ()),
    "softplus": lambda: ("softplus", (1.0,)),
    "log_sigmoid": lambda: ("softplus", (-1.0,)),
    "silu": lambda: ("silu", ()),
    "gelu": lambda approximate: ("gelu_tanh" if approximate else "gelu", ()),
    "mish": lambda: ("mish", ()),
    "softsign": lambda: ("softsign", ()),
    "tanh_shrink": lambda: ("tanh_shrink", ()),
    "soft_shrink": lambda threshold: ("soft_shrink", (threshold,)),
    "hard_shrink": lambda threshold: ("hard_shrink", (threshold,)),
    "squareplus": lambda b: ("squareplus", (b, math.sqrt(b))),
    "sparse_plus": lambda: ("sparse_plus", ()),
}
#: Those that are ops of programs themselves.
_OWN = ("relu", "tanh", "sigmoid")
_PLAIN_RELU = {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}
_ALONG = ("softmax", "log_softmax", "sparsemax", "glu")
ACTIVATIONS = frozenset((*POINTWISE, *_OWN, *_ALONG))


@layer_names("Dense")
def _dense(layer: Any, graph: Graph, x: int) -> int:
    variables = {"kernel": layer.kernel, "bias": layer.bias}
    relu = is_op(layer, "relu")
    if len(graph.shapes[x]) == 1:
        x = graph.add("dense", (x,), (layer.kernel.shape[1],), layer.name, variables, relu=relu)
    else:
        x = along_channels(graph, x, layer.name, variables, relu)
    return activated(layer, graph, x, done="relu")


def is_op(layer: Any, name: str) -> bool:
    """Whether the activation is this op (or a copy of it, in a copy of the layer)."""
    return _same(layer.activation, OPS[name])


def _same(activation: Any, op: Any) -> bool:
    """Whether both are one op, or one composition of ops."""
    for attribute in ("forward", "function"):
        code = getattr(op, attribute, None)
        if code is not None:
            return getattr(activation, attribute, None) is code
    return False


def activated(layer: Any, graph: Graph, x: int, done: str = "") -> int:
    """The value after the layer's activation, unless that one is part of the op before."""
    activation = layer.activation
    name = getattr(activation, "__name__", repr(activation))
    if (name == done and is_op(layer, done)) or (
        name == "linear" and activation.__module__.endswith("activations")
    ):
        return x
    if name not in ACTIVATIONS or not is_op(layer, name):
        raise NotNative(f"the activation {name!r} of {layer.name!r} has no lowering")
    return applied(graph, x, layer.name, name)


def applied(graph: Graph, x: int, layer: str, name: str, **settings: Any) -> int:
    """The value of an activation, called as an op.

    Raises:
        NotNative: it has no lowering.
    """
    if name not in ACTIVATIONS:
        raise NotNative(f"the activation {name!r} of {layer!r} has no lowering")
    given = _settings_of(OPS[name]) | settings
    if name in _ALONG:
        return _along(graph, x, name, layer, given["axis"])
    if name in _OWN and (name != "relu" or given == _PLAIN_RELU):
        return graph.add(name, (x,), graph.shapes[x], layer)
    expression, numbers = POINTWISE[name](**given)
    return graph.add(
        "pointwise", (x,), graph.shapes[x], layer, expression=expression, given=tuple(numbers)
    )


def _settings_of(op: Any) -> dict[str, Any]:
    """The settings of an op, at their defaults."""
    parameters = inspect.signature(op).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _along(graph: Graph, x: int, name: str, layer: str, axis: Any) -> int:
    """An activation along an axis (or neighbouring axes), counted with the batch as axis 0."""
    shape = graph.shapes[x]
    axes = [i - 1 for i in axis_tuple(axis, len(shape) + 1)]
    if not axes or axes[0] < 0 or axes != list(range(axes[0], axes[0] + len(axes))):
        raise NotNative(f"the {name} of {layer!r} is taken along {axis}")
    first, last = axes[0], axes[-1] + 1
    runs = (math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:]))
    if name == "glu":
        if shape[first] % 2:
            raise NotNative(f"the glu of {layer!r} halves {shape[first]} elements")
        shape = (*shape[:first], shape[first] // 2, *shape[last:])
    return graph.add(name, (x,), shape, layer, runs=runs)


@layer_names("Activation")
def _activation(layer: Any, graph: Graph, x: int) -> int:
    return activated(layer, graph, x)


@layer_names("ReLU", "LeakyReLU")
def _relu(layer: Any, graph: Graph, x: int) -> int:
    given = {name: getattr(layer, name) for name in _PLAIN_RELU if hasattr(layer, name)}
    return applied(graph, x, layer.name, "relu", **given)


@layer_names("ELU")
def _elu(layer: Any, graph: Graph, x: int) -> int:
    return applied(graph, x, layer.name, "elu", alpha=layer.alpha)


@layer_names("PReLU")
def _prelu(layer: Any, graph: Graph, x: int) -> int:
    return graph.add("prelu", (x,), graph.shapes[x], layer.name, {"alpha": layer.alpha})


@layer_names("Softmax")
def _softmax(layer: Any, graph: Graph, x: int) -> int:
    return _along(graph, x, "softmax", layer.name, layer.axis)
