"""Convolutions at random: what hypothesis draws for the tests of convolution and of patches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import reference
from hypothesis import assume
from hypothesis import strategies as st


class Geometry(NamedTuple):
    """A convolution: the shapes, the settings as a user gives them, and the padding they mean."""

    x: tuple[int, ...]
    kernel: tuple[int, ...]
    given: dict[str, Any]
    pairs: list[tuple[int, int]]

    @property
    def for_reference(self) -> dict[str, Any]:
        wanted = ("strides", "dilation", "groups")
        return {"pairs": self.pairs, **{name: self.given[name] for name in wanted}}


@st.composite
def geometries(draw: Any, groups: int = 3) -> Geometry:
    rank = draw(st.integers(1, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    kernel, strides = per_axis(1, 4 - rank // 2), per_axis(1, 3)
    dilation = per_axis(1, 2 if rank > 1 else 3)
    size = per_axis(1, (12, 7, 4)[rank - 1])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    kinds = ["valid", "same", "int", "pairs"] + ["causal"] * (rank == 1)
    padding: Any = draw(st.sampled_from(kinds))
    if padding == "same":
        pairs = [reference.same_padding(*a) for a in zip(size, reach, strides, strict=True)]
    elif padding == "causal":
        pairs = [(reach[0] - 1, 0)]
    elif padding == "valid":
        pairs = [(0, 0)] * rank
    elif padding == "int":
        padding = draw(st.integers(0, 3))
        pairs = [(padding, padding)] * rank
    else:
        padding = pairs = list(zip(per_axis(0, 3), per_axis(0, 3), strict=True))
    assume(all(reference.output_size(size, kernel, strides, pairs, dilation)))
    number = draw(st.integers(1, groups))
    share, filters = draw(st.integers(1, 3)), number * draw(st.integers(1, 2))
    x = (draw(st.integers(0, 2)), *size, share * number)
    given = dict(strides=strides, padding=padding, dilation=dilation, groups=number)
    return Geometry(x, (*kernel, share, filters), given, pairs)


def draw_arrays(seed: int, *shapes: tuple[int, ...], dtype: Any = np.float64) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes]
