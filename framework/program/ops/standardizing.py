"""What normalises each sample by itself."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...kernels import standardize
from ...kernels.simd import SHARD, bits_of
from ...ops.axes import axis_index, axis_tuple
from ...ops.stateful import SHORTEST
from ..build import Buffer
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .products import learned


class Loop(NamedTuple):
    """A loop over a sample.

    Attributes:
        length: how often.
        kept: whether each turn has statistics of its own.
        own: whether each turn has numbers of its own in gamma and beta.
    """

    length: int
    kept: bool
    own: bool


#: The square of the length below which `unit_length` does not divide by it.
_SHORTEST = SHORTEST**2


def _standardized(
    t: Trace, x: Traced, loops: list[Loop], mode: int, epsilon: float, **given: Any
) -> Traced:
    variables = {k: learned(v, "a norm")[0] for k, v in given.items() if v is not None}
    own = math.prod(loop.length for loop in loops if loop.own)
    if any(v.size != own for v in variables.values()):
        raise NotNative(f"a norm has no lowering for scales of another size than {own}")
    settings = {"loops": tuple(loops), "mode": mode, "epsilon": epsilon}
    return t.add("standardize", (x,), x.sample, variables, **settings)


def _loops(x: Traced, axis: Any) -> list[Loop]:
    """The loops of what normalises along axes, and has a scale along them."""
    axes = [i - 1 for i in axis_tuple(axis, x.ndim)]
    if axes and axes[0] < 0:
        raise NotNative("it normalises along the batch")
    return [Loop(n, i not in axes, i in axes) for i, n in enumerate(x.sample)]


@traces("layer_norm")
def _layer_norm(t: Trace, x: Any, gamma: Any, beta: Any, axis: Any, epsilon: float) -> Traced:
    loops = _loops(x, axis)
    return _standardized(t, x, loops, standardize.DEVIATION, epsilon, gamma=gamma, beta=beta)


@traces("normalize")
def _normalize(t: Trace, x: Any, axis: Any, epsilon: float) -> Traced:
    return _standardized(t, x, _loops(x, axis), standardize.DEVIATION, epsilon)


@traces("rms_norm")
def _rms_norm(t: Trace, x: Any, scale: Any, axis: Any, epsilon: float) -> Traced:
    mode = standardize.ROOT_MEAN_SQUARE
    return _standardized(t, x, _loops(x, axis), mode, epsilon, gamma=scale)


@traces("unit_length")
def _unit_length(t: Trace, x: Any, axis: Any) -> Traced:
    return _standardized(t, x, _loops(x, axis), standardize.LENGTH, _SHORTEST)


@traces("group_norm")
def _group_norm(
    t: Trace, x: Any, gamma: Any, beta: Any, groups: int, axis: int,
    epsilon: float,
) -> Traced:  # fmt: skip
    shape, axis = x.sample, axis_index(axis, x.ndim) - 1
    if axis < 0 or groups < 1 or shape[axis] % groups:
        raise NotNative(f"group_norm has no lowering for {groups} groups of {x.shape}")
    loops = [Loop(n, False, False) for n in shape]
    loops[axis : axis + 1] = [Loop(groups, True, True), Loop(shape[axis] // groups, False, True)]
    return _standardized(t, x, loops, standardize.DEVIATION, epsilon, gamma=gamma, beta=beta)


@traces("local_response_norm")
def _local_response_norm(t: Trace, x: Any, n: int, k: float, alpha: float, beta: float) -> Traced:
    settings = {"radius": n // 2, "k": k, "alpha": alpha, "beta": beta}
    return t.add("local_response", (x,), x.sample, **settings)


class _Walk(NamedTuple):
    """A loop, and how far each turn goes in x, in gamma and in the statistics."""

    loop: Loop
    x: int
    scale: int
    stats: int


def _walks(loops: tuple[Loop, ...]) -> list[_Walk]:
    """Loops with their steps; neighbours of one kind become one."""
    merged: list[Loop] = []
    for loop in loops:
        if loop.length == 1:
            continue
        if merged and merged[-1][1:] == loop[1:]:
            loop = loop._replace(length=merged.pop().length * loop.length)
        merged.append(loop)
    found: list[_Walk] = []
    x = scale = stats = 1
    for loop in reversed(merged):
        found.append(_Walk(loop, x, scale if loop.own else 0, stats if loop.kept else 0))
        x *= loop.length
        scale *= loop.length if loop.own else 1
        stats *= loop.length if loop.kept else 1
    return found[::-1]


def _three(walks: list[_Walk], *steps: str) -> list[int]:
    """Three lengths, and three of each step."""
    if len(walks) > 3:
        raise NotNative("it normalises along axes that are too far apart")
    missing = [0] * (3 - len(walks))
    numbers = [1] * len(missing) + [w.loop.length for w in walks]
    for step in steps:
        numbers += missing + [getattr(w, step) for w in walks]
    return numbers


@lowers("standardize")
class Standardize(OpLowering):
    """Layer, group, root mean square and unit normalisation."""

    @staticmethod
    def _loops(node: Node) -> list[int]:
        """The loops of the kernels over x."""
        walks = _walks(node.settings["loops"])
        kept, taken = ([w for w in walks if w.loop.kept == side] for side in (True, False))
        return [*_three(kept, "x", "scale"), *_three(taken, "x", "scale")]

    @staticmethod
    def _variable(low: Lowering, node: Node, role: str) -> Any:
        found = node.variables.get(role)
        return 0 if found is None else low.variable(found)

    def forward(self, low: Lowering, node: Node) -> None:
        kept = math.prod(w.length for w in node.settings["loops"] if w.kept)
        stats = low.build.buffer(2 * kept * SHARD, f"{node.layer}: statistics")
        low.masks[node.output] = stats
        gamma, beta = (self._variable(low, node, role) for role in ("gamma", "beta"))
        low.build.emit(
            standardize.standardize,
            low.output(node), low.values[node.inputs[0]], stats, gamma, beta,
            node.settings["mode"], bits_of(node.settings["epsilon"]), *self._loops(node),
        )  # fmt: skip

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        stats = low.masks[node.output]
        slots = [self._slot(low, node, role) for role in ("gamma", "beta")]
        if any(slots):
            walks = _walks(node.settings["loops"])
            own, rest = ([w for w in walks if w.loop.own == side] for side in (True, False))
            loops = [*_three(own, "x", "scale", "stats"), *_three(rest, "x", "stats")]
            low.build.emit(standardize.scale_gradients, *slots, g, x, stats, *loops)
        gamma = self._variable(low, node, "gamma")
        low.build.emit(
            standardize.standardize_back,
            g, g, x, stats, gamma, node.settings["mode"], bits_of(node.settings["epsilon"]),
            *self._loops(node),
        )  # fmt: skip
        low.pass_on(node.inputs[0], g)

    @staticmethod
    def _slot(low: Lowering, node: Node, role: str) -> Any:
        variable = node.variables.get(role)
        return (None if variable is None else low.slot_of(variable)) or 0


@lowers("local_response")
class LocalResponse(OpLowering):
    """Each channel divided by the size of its neighbours."""

    @staticmethod
    def _numbers(low: Lowering, node: Node) -> list[int]:
        *pixels, channels = low.graph.shapes[node.output]
        settings = (bits_of(node.settings[name]) for name in ("k", "alpha", "beta"))
        return [math.prod(pixels), channels, node.settings["radius"], *settings]

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(standardize.local_response, low.output(node), x, *self._numbers(low, node))

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        channels = low.graph.shapes[node.output][-1]
        scratch: Buffer = low.build.buffer(2 * channels * SHARD, f"{node.layer}: scratch")
        numbers = self._numbers(low, node)
        low.build.emit(standardize.local_response_back, g, g, x, *numbers, scratch)
        low.pass_on(node.inputs[0], g)
