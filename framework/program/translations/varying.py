"""Layers that draw numbers while training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Graph, NotNative, Shape, layer_names

Array = np.ndarray
#: From a layer and a shape: the factors (bools or float32) and the summands of the elements.
Draw = Callable[[Any, Shape], tuple[Array | None, Array | None]]
FACTORS, SUMMANDS = 0, 1


@layer_names("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
def _dropout(layer: Any, graph: Graph, x: int) -> int:
    if not graph.training or layer.rate == 0:
        return x
    if layer.noise_shape is None and layer.rate < 1:
        return graph.add("dropout", (x,), graph.shapes[x], layer.name, rate=layer.rate, draw=layer)
    scale = 1 / (1 - layer.rate) if layer.rate < 1 else 0.0
    return _noise(layer, graph, x, _kept, (FACTORS,), bools=True, scale=scale)


@layer_names("AlphaDropout")
def _alpha_dropout(layer: Any, graph: Graph, x: int) -> int:
    if not graph.training or layer.rate == 0:
        return x
    scale, _ = _alpha_numbers(layer.rate)
    return _noise(layer, graph, x, _alpha, (FACTORS, SUMMANDS), bools=True, scale=scale)


@layer_names("GaussianNoise")
def _gaussian_noise(layer: Any, graph: Graph, x: int) -> int:
    if not graph.training or not layer.stddev:
        return x
    return _noise(layer, graph, x, _summands, (SUMMANDS,))


@layer_names("GaussianDropout")
def _gaussian_dropout(layer: Any, graph: Graph, x: int) -> int:
    if not graph.training or layer.rate == 0:
        return x
    return _noise(layer, graph, x, _factors, (FACTORS,))


def _noise(
    layer: Any,
    graph: Graph,
    x: int,
    draw: Draw,
    parts: tuple[int, ...],
    bools: bool = False,
    scale: float = 1.0,
) -> int:
    """Noise of the shape that the layer wants for it."""
    shape = graph.shapes[x]
    wanted = getattr(layer, "noise_shape", None) or (None,) * (len(shape) + 1)
    small = tuple(n if m is None else m for n, m in zip(shape, wanted[1:], strict=False))
    fits = len(wanted) == len(shape) + 1 and wanted[0] in (None, 1)
    if not fits or any(m not in (1, n) for n, m in zip(shape, small, strict=True)):
        raise NotNative(f"the noise shape of {layer.name!r} is not one for {(None, *shape)}")
    return graph.add(
        "noise",
        (x,),
        shape,
        layer.name,
        small=small,
        of_batch=wanted[0] == 1,
        source=layer,
        draw=draw,
        parts=parts,
        bools=bools,
        scale=scale,
    )


def _kept(layer: Any, shape: Shape) -> tuple[Array | None, Array | None]:
    return layer.next_generator().random(shape, np.float32) >= layer.rate, None


def _alpha_numbers(rate: float) -> tuple[float, float]:
    """What `AlphaDropout` multiplies by, and what dropped elements are before that."""
    low = -1.0507009873554805 * 1.6732632423543772
    return ((1 - rate) * (1 + rate * low**2)) ** -0.5 if rate < 1 else 0.0, low


def _alpha(layer: Any, shape: Shape) -> tuple[Array | None, Array | None]:
    kept = layer.next_generator().random(shape, np.float32) >= layer.rate
    scale, low = _alpha_numbers(layer.rate)
    offset = -scale * low * layer.rate
    return kept, np.where(kept, np.float32(offset), np.float32(scale * low + offset))


def _summands(layer: Any, shape: Shape) -> tuple[Array | None, Array | None]:
    drawn = layer.next_generator().standard_normal(shape, np.float32)
    return None, (drawn * layer.stddev).astype(np.float32, copy=False)


def _factors(layer: Any, shape: Shape) -> tuple[Array | None, Array | None]:
    drawn = layer.next_generator().standard_normal(shape, np.float32)
    deviation = math.sqrt(layer.rate / (1 - layer.rate))
    return (1 + deviation * drawn).astype(np.float32, copy=False), None
