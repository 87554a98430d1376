"""Lowerings of convolutions and their transposes, of every rank, stride and number of groups.

Everything comes down to one two-dimensional sum (`products.correlate`). Groups are runs of channels
of the same pixels. Along depth, each slice of the output is a sum over the slices of the input that
a tap brings to it; one and two dimensions are the case of one slice. A transposed convolution is
the gradient of a convolution, so its way there is the other's way back, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...kernels import products
from ...kernels.native import rows_of_tiles
from ...kernels.simd import FIXED_ROWS, SHARD
from ...ops.geometry import extent, per_axis, transposed_size, window_settings
from ..build import Buffer, Ref
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from . import winograd
from .products import add_bias_gradient, correlate, learned, placeholder, through_relu
from .shape import reshaped

#: From so many channels on, a run along the channels of one tap is long enough by itself, and the
#: weights are better read along them.
LONG_RUN = 32
#: Elements of x that `kernel_gradient` goes over again and again: half of a first-level cache.
CACHED = 4096

Three = tuple[int, int, int]
#: What adds up to a slice along depth: pairs of a slice of the input and a tap.
Meetings = list[tuple[int, int]]


@traces("conv")
def _conv(
    t: Trace, x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, groups: int
) -> Traced:
    x, (kernel, shape) = placeholder(x, "conv"), learned(kernel, "conv")
    taps, channels, filters = shape[:-2], x.sample[-1], shape[-1]
    settings, lengths = window_settings("conv", x.shape, "taps", taps, strides, padding, dilation)
    settings |= {"relu": False}
    if groups == channels > 1 and len(taps) < 3:
        return t.add("depthwise", (x,), (*lengths, filters), {"kernel": kernel}, **settings)
    if kernel.shape[-2:] != shape[-2:]:
        raise NotNative("conv takes its kernel as another shape of a weight")
    whole = math.prod(lengths) == groups == 1 and taps == x.sample[:-1]
    if whole and not any(map(sum, settings["padding"])) and set(settings["dilation"]) == {1}:
        flat = reshaped(t, x, (x.size // len(x),))
        flat = t.add("dense", (flat,), (filters,), {"kernel": kernel}, relu=False)
        return reshaped(t, flat, (*lengths, filters))
    settings |= {"groups": groups}
    return t.add("conv", (x,), (*lengths, filters), {"kernel": kernel}, **settings)


@traces("conv_transpose")
def _conv_transpose(
    t: Trace,
    x: Any,
    kernel: Any,
    strides: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
) -> Traced:
    where = "conv_transpose"
    x, (kernel, shape) = placeholder(x, where), learned(kernel, where)
    taps, filters = shape[:-2], shape[-2] * groups
    strides = per_axis(strides, len(taps), "strides", where)
    dilation = per_axis(dilation, len(taps), "dilation", where)
    reach = extent(taps, dilation)
    lengths, padding = transposed_size(
        x.sample[:-1], reach, strides, padding, output_padding, where
    )
    settings = {"taps": taps, "strides": strides, "padding": padding, "dilation": dilation}
    return t.add(
        where, (x,), (*lengths, filters), {"kernel": kernel}, **settings, groups=groups, relu=False
    )


def three(sizes: Any, fill: int) -> Three:
    """Depth, height and width, of which the first may not be there."""
    a, b, c = (fill,) * (3 - len(sizes)) + tuple(sizes)
    return a, b, c


@dataclass(frozen=True)
class Convolution:
    """A convolution and its two gradients, as instructions.

    Attributes:
        kernel: a variable, ``(taps..., channels // groups, filters)``.
        image, pixels: the sizes of its input and of its output.
        taps, strides, apart: of the windows; `apart` are the pixels between taps.
        padding: zeros before and after each axis.
        channels, filters: of all groups.
    """

    kernel: Any
    image: Three
    pixels: Three
    taps: Three
    strides: Three
    apart: Three
    padding: tuple[tuple[int, int], ...]
    channels: int
    filters: int
    groups: int

    @classmethod
    def of(cls, low: Lowering, node: Node, transposed: bool = False) -> Convolution:
        """The convolution of a node, or the one that a node transposes."""
        x, y = (low.graph.shapes[v] for v in (node.inputs[0], node.output))
        if transposed:
            x, y = y, x
        settings = node.settings
        pads = settings["padding"]
        return cls(
            node.variables["kernel"],
            three(x[:-1], 1),
            three(y[:-1], 1),
            three(settings["taps"], 1),
            three(settings["strides"], 1),
            three(settings["dilation"], 1),
            ((0, 0),) * (3 - len(pads)) + tuple(pads),
            x[-1],
            y[-1],
            settings["groups"],
        )

    # Its parts

    @property
    def each(self) -> tuple[int, int]:
        """Channels and filters of a group."""
        return self.channels // self.groups, self.filters // self.groups

    @property
    def _tap(self) -> int:
        """Elements from one tap to the next."""
        return self.kernel.shape[-2] * self.filters

    @property
    def _layer(self) -> int:
        """Elements from one tap along depth to the next."""
        return self.taps[1] * self.taps[2] * self._tap

    def _x(self, slice_: int, group: int) -> int:
        """Where a group of channels begins in a slice of x."""
        pixels = slice_ * self.image[1] * self.image[2]
        return (pixels * self.channels + group * self.each[0]) * SHARD

    def _y(self, slice_: int, group: int) -> int:
        """Where a group of filters begins in a slice of the output."""
        pixels = slice_ * self.pixels[1] * self.pixels[2]
        return (pixels * self.filters + group * self.each[1]) * SHARD

    def _meetings(self) -> list[Meetings]:
        """For each slice of the output what it sums: slices of x, and the taps between."""
        found: list[Meetings] = []
        for o in range(self.pixels[0]):
            start = o * self.strides[0] - self.padding[0][0]
            places = [(start + self.apart[0] * t, t) for t in range(self.taps[0])]
            found.append([(d, t) for d, t in places if 0 <= d < self.image[0]])
        return found

    def _meetings_back(self) -> list[Meetings]:
        """For each slice of x what its gradient sums: slices of the output, and the taps."""
        found: list[Meetings] = [[] for _ in range(self.image[0])]
        for o, meetings in enumerate(self._meetings()):
            for d, t in meetings:
                found[d].append((o, t))
        return found

    # Weights in another order

    def _turned(self, low: Lowering, flip: bool) -> Buffer:
        """The matrix of each tap transposed; with `flip`, the taps in reverse order as well."""
        return low.packed((self.kernel, "flipped" if flip else "turned"), self.kernel.size)

    def prepare(self, low: Lowering) -> None:
        """Emit what makes the forms of the weights that are used."""
        for flip in (False, True):
            if low.has_packed((self.kernel, "flipped" if flip else "turned")):
                low.build.task()
                turned, w = self._turned(low, flip), low.variable(self.kernel)
                taps, c = self.kernel.size // self._tap, self.kernel.shape[-2]
                low.build.emit(products.transpose_taps, turned, w, taps, c, self.filters, int(flip))

    # The sums

    def forward(self, low: Lowering, out: Buffer, x: Buffer, bias: Any, relu: bool) -> None:
        """out = x convolved, with a bias (a buffer or None)."""
        c, f = self.each
        long = c >= LONG_RUN
        _, height, width = self.image
        _, out_height, out_width = self.pixels
        merged = not long and self.apart[2] == 1 and self.groups == 1
        numbers = {
            "height": height, "width": width, "x_pixel": self.channels * SHARD, "channels": c,
            "out_height": out_height, "out_width": out_width,
            "step_h": self.strides[1], "step_w": self.strides[2],
            "top": -self.padding[1][0], "left": -self.padding[2][0],
            "taps_h": self.taps[1], "taps_w": self.taps[2],
            "apart_h": self.apart[1], "apart_w": self.apart[2],
            "w_tap_h": self.taps[2] * self._tap, "w_tap_w": self._tap,
            "w_pitch": c if long else self.filters,
            "out_row": out_width * self.filters * SHARD, "out_pixel": self.filters * SHARD,
            "merged": int(merged),
        }  # fmt: skip
        w = self._turned(low, flip=False) if long else low.variable(self.kernel)
        for group in range(self.groups):
            first = group * f
            wide = None if bias is None else bias.at(first, f)
            for o, meetings in enumerate(self._meetings()):
                to = Ref(out, self._y(o, group))
                for d, t, more in _in_turn(meetings, relu):
                    start = Ref(w, t * self._layer + first * (c if long else 1))
                    at = Ref(x, self._x(d, group))
                    correlate(low, to, at, start, wide, f, numbers | more, back=long)

    def input_gradient(
        self, low: Lowering, out: Buffer, g: Buffer, bias: Any = None, relu: bool = False
    ) -> None:
        """out = the gradient for x (with a bias, for what transposes this convolution).

        Pixel q of x gathers from outputs p with ``q = step p + apart t - pad``: a convolution of g,
        for each remainder of q by the strides one with every so-many-th tap.
        """
        c, f = self.each
        width = self.image[2]
        flips = f < LONG_RUN and self.strides[1:] == (1, 1) == self.apart[1:]
        rows, columns = (
            [_Phase.flipped(self.image[i], self.taps[i], self.padding[i][0])]
            if flips
            else phases(
                self.image[i], self.taps[i], self.strides[i], self.apart[i], self.padding[i][0]
            )
            for i in (1, 2)
        )
        w = self._turned(low, flip=True) if flips else low.variable(self.kernel)
        row = self.taps[2] * self._tap
        numbers = {
            "height": self.pixels[1], "width": self.pixels[2],
            "x_pixel": self.filters * SHARD, "channels": f, "step_h": 1, "step_w": 1,
            "w_pitch": c if flips else self.filters, "merged": int(flips and self.groups == 1),
        }  # fmt: skip
        for group in range(self.groups):
            wide = None if bias is None else bias.at(group * c, c)
            for d, meetings in enumerate(self._meetings_back()):
                for r in rows:
                    for q in columns:
                        pixel = (r.first * width + q.first) * self.channels * SHARD
                        to = Ref(out, self._x(d, group) + pixel)
                        inside = {
                            "out_height": r.count, "out_width": q.count,
                            "top": r.start, "left": q.start, "taps_h": r.taps, "taps_w": q.taps,
                            "apart_h": r.apart, "apart_w": q.apart,
                            "w_tap_h": r.tap_step * row, "w_tap_w": q.tap_step * self._tap,
                            "out_row": r.every * width * self.channels * SHARD,
                            "out_pixel": q.every * self.channels * SHARD,
                        }  # fmt: skip
                        for o, t, more in _in_turn(meetings, relu):
                            tap = self.taps[0] - 1 - t if flips else t
                            start = tap * self._layer + r.first_tap * row + q.first_tap * self._tap
                            start += group * f * (c if flips else 1)
                            correlate(
                                low, to, Ref(g, self._y(o, group)), Ref(w, start), wide, c,
                                numbers | inside | more, back=not flips,
                            )  # fmt: skip

    def kernel_gradient(self, low: Lowering, slot: Ref, x: Buffer, g: Buffer) -> None:
        """Add the gradient for the kernel to a slot."""
        c, f = self.each
        _, height, width = self.image
        _, out_height, out_width = self.pixels
        merged = self.groups == 1 and not any(self.padding[2]) and self.apart[2] == 1
        matrix = self.taps[2] * c if merged else c
        pixels = CACHED // (SHARD * min(c, FIXED_ROWS))  # each chunk is summed by itself
        chunk = max(1, pixels // out_width)
        last_x = ((height * width - 1) * self.channels + c) * SHARD
        last_g = ((out_height * out_width - 1) * self.filters + f) * SHARD
        for group in range(self.groups):
            for o, meetings in enumerate(self._meetings()):
                for d, t in meetings:
                    start = slot.offset + t * self._layer + group * f
                    given = {
                        "out": slot.buffer.at(start, self._layer - self.filters + f),
                        "x": x.at(self._x(d, group), last_x),
                        "g": g.at(self._y(o, group), last_g),
                        "height": height, "width": width,
                        "x_pixel": self.channels, "g_pixel": self.filters, "filters": f,
                        "out_width": out_width,
                        "step_h": self.strides[1], "step_w": self.strides[2],
                        "top": -self.padding[1][0], "left": -self.padding[2][0],
                        "taps_h": self.taps[1], "taps_w": 1 if merged else self.taps[2],
                        "apart_h": self.apart[1], "apart_w": self.apart[2], "matrix": matrix,
                    }  # fmt: skip
                    for above in range(0, out_height, chunk):
                        given |= {"first_row": above, "rows_below": min(above + chunk, out_height)}
                        row = 0
                        for rows, blocks in rows_of_tiles(matrix):
                            given |= {"row": row, "blocks": blocks}
                            low.build.emit(products.kernel_gradient(rows), **given)
                            row += rows * blocks


def _in_turn(meetings: Meetings, relu: bool) -> Iterator[tuple[int, int, dict[str, int]]]:
    """The parts of a sum, one added to the other, and what is different for each."""
    last = len(meetings) - 1
    for i, (slice_, tap) in enumerate(meetings):
        yield slice_, tap, {"adds": int(i > 0), "relu": int(relu and i == last)}
    if not meetings:  # no tap, so nothing but the bias
        yield 0, 0, {"taps_h": 0, "relu": int(relu)}


@dataclass(frozen=True)
class _Phase:
    """Along one axis, the pixels ``first, first + every, ...`` of x, and the taps they meet.

    Pixel number i of them reads g at ``i + start + apart k`` with tap ``first_tap + tap_step k``,
    for k below `taps`.
    """

    first: int
    every: int
    count: int
    taps: int
    first_tap: int = 0
    start: int = 0
    tap_step: int = 0
    apart: int = 1

    @classmethod
    def flipped(cls, length: int, taps: int, pad: int) -> _Phase:
        """The one phase of stride 1, for weights whose taps are in reverse order."""
        return cls(0, 1, length, taps, 0, pad - taps + 1, 1, 1)


def phases(length: int, taps: int, stride: int, apart: int, pad: int) -> list[_Phase]:
    """The phases of one axis.

    Pixel q meets tap t at output ``(q + pad - apart t) / stride`` where that is whole. Taps are
    taken in falling order, so that outputs rise.
    """
    found = []
    for first in range(min(stride, length)):
        count = len(range(first, length, stride))
        met = [t for t in reversed(range(taps)) if (first + pad - apart * t) % stride == 0]
        places = [(first + pad - apart * t) // stride for t in met]
        phase = _Phase(first, stride, count, len(met))
        if met:
            phase = replace(phase, first_tap=met[0], start=places[0])
        if len(met) > 1:
            phase = replace(phase, tap_step=met[1] - met[0], apart=places[1] - places[0])
        found.append(phase)
    return found


class _Convolving(OpLowering):
    """What convolutions and their transposes share."""

    transposed = False

    def prepare(self, low: Lowering, node: Node) -> None:
        Convolution.of(low, node, self.transposed).prepare(low)

    def forward(self, low: Lowering, node: Node) -> None:
        made, bias = Convolution.of(low, node, self.transposed), node.variables.get("bias")
        emit = made.input_gradient if self.transposed else made.forward
        wide = None if bias is None else low.variable(bias)
        emit(low, low.output(node), low.values[node.inputs[0]], wide, node.settings["relu"])

    def backward(self, low: Lowering, node: Node) -> None:
        made, x = Convolution.of(low, node, self.transposed), low.values[node.inputs[0]]
        g = through_relu(low, node)
        slot = low.slot_of(made.kernel)
        if slot is not None:
            made.kernel_gradient(low, slot, *((g, x) if self.transposed else (x, g)))
        *pixels, channels = low.graph.shapes[node.output]
        add_bias_gradient(low, node.variables.get("bias"), g, math.prod(pixels), channels)

        def emit(out: Buffer) -> None:
            if self.transposed:
                made.forward(low, out, g, None, relu=False)
            else:
                made.input_gradient(low, out, g)

        low.give(node.inputs[0], emit)


@lowers("conv")
class Conv(_Convolving):
    """Convolution: by Winograd's form where that pays, else directly."""

    def prepare(self, low: Lowering, node: Node) -> None:
        prepare = winograd.prepare if winograd.pays(low, node) else super().prepare
        prepare(low, node)

    def forward(self, low: Lowering, node: Node) -> None:
        forward = winograd.forward if winograd.pays(low, node) else super().forward
        forward(low, node)

    def backward(self, low: Lowering, node: Node) -> None:
        if not winograd.pays(low, node):
            super().backward(low, node)
            return
        g = through_relu(low, node)
        out_height, out_width, filters = low.graph.shapes[node.output]
        slot = low.slot_of(node.variables["kernel"])
        if slot is not None:
            winograd.kernel_gradient(low, node, g, slot)
        add_bias_gradient(low, node.variables.get("bias"), g, out_height * out_width, filters)
        low.give(node.inputs[0], lambda out: winograd.input_gradient(low, node, g, out))


@lowers("conv_transpose")
class ConvTranspose(_Convolving):
    """The input gradient of a convolution, forward."""

    transposed = True
