"""A picture of receptive fields: what the layers of a net see of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..inspection.analysis import LayerAnalysis, analysis
from .style import INK, TIMES, TITLE, dimensions, new_figure, show_image


def receptive_field(
    model: Any,
    layers: str | Sequence[str] | None = None,
    position: tuple[int, int] | None = None,
    image: Any = None,
    input_shape: Any = None,
) -> Figure:
    """The part of the input that one output of a layer sees, for several layers one in the other.

    Args:
        model: over images ``(N, H, W, C)``; see `gradtape.analysis`.
        layers: the name of a layer, or of several. Default: all that see more than those before.
        position: row and column of the output of the last of them. Default: in the middle. Of the
            others the output is drawn whose field lies most in the middle of that one's.
        image: what to draw it on, ``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)``. Default: nothing.
        input_shape: of one sample, if the model has not been built.

    Raises:
        ValueError: the input is no image, there is no such layer, or no such position.
    """
    found = analysis(model, input_shape)
    shape = found[0].output_shape
    if len(shape) != 4:
        raise ValueError(f"plot.receptive_field() expected images as input, received {shape}.")
    rows = _chosen(found.rows, layers)
    lengths = found[0].receptive_field.axes if found[0].receptive_field else ()
    height, width = (axis.last + 1 for axis in lengths)
    boxes = _boxes(rows, position)

    low = [min(0, *(box[i][0] for _, box in boxes)) for i in (0, 1)]
    high = [max(n, *(box[i][1] + 1 for _, box in boxes)) for i, n in ((0, height), (1, width))]
    tall, wide = high[0] - low[0], high[1] - low[1]
    side = 6.2 / max(tall, wide)
    figure = new_figure(wide * side + 3.2, max(tall * side, 2.2) + 0.7)
    axes = figure.subplots()
    padding = Rectangle((low[1] - 0.5, low[0] - 0.5), wide, tall, facecolor="#F4F4F4", hatch="....",
                        edgecolor="#D8D8D8", linewidth=0)  # fmt: skip
    if (tall, wide) != (height, width):
        axes.add_patch(padding)
    if image is not None:
        show_image(axes, image, alpha=0.55, zorder=1)
    axes.add_patch(
        Rectangle(
            (-0.5, -0.5),
            width,
            height,
            facecolor="none" if image is not None else "white",
            edgecolor=INK,
            linewidth=1,
            zorder=1,
        )
    )
    if max(height, width) <= 64:
        for n in range(1, width):
            axes.plot([n - 0.5] * 2, [-0.5, height - 0.5], color="#C4C4C4", linewidth=0.4, zorder=2)
        for n in range(1, height):
            axes.plot([-0.5, width - 0.5], [n - 0.5] * 2, color="#C4C4C4", linewidth=0.4, zorder=2)
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(boxes)))
    for number, ((row, ((top, bottom), (left, right))), shade) in enumerate(
        zip(reversed(boxes), reversed(shades), strict=True)
    ):
        field = row.receptive_field
        assert field is not None
        axes.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5),
                right - left + 1,
                bottom - top + 1,
                facecolor=(*shade[:3], 0.07),
                edgecolor=shade,
                linewidth=2.2,
                zorder=3 + number,
                label=f"{row.name}: {dimensions(field.size)}, every {_steps(field.stride)}",
            )
        )
    axes.set_xlim(low[1] - 1, high[1])
    axes.set_ylim(high[0], low[0] - 1)
    axes.set_aspect("equal")
    axes.set_axis_off()
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside right upper", frameon=False, fontsize=9,
        title="One output of\neach layer sees", title_fontproperties={"weight": "bold", "size": 10},
        alignment="left",
    )  # fmt: skip
    dotted = "; dotted: padding" if (tall, wide) != (height, width) else ""
    figure.suptitle(f"{model.name} on {height}{TIMES}{width} pixels{dotted}", **TITLE)
    return figure


def _steps(strides: Sequence[Any]) -> str:
    if len(set(strides)) > 1:
        return f"{TIMES.join(map(str, strides))} pixels"
    return "pixel" if strides[0] == 1 else f"{strides[0]} pixels"


Box = tuple[tuple[int, int], tuple[int, int]]


def _chosen(rows: list[LayerAnalysis], names: str | Sequence[str] | None) -> list[LayerAnalysis]:
    """The rows to draw, whose outputs lie in a plane."""
    spatial = [
        row
        for row in rows
        if row.depth == 0
        and row.receptive_field is not None
        and all(row.receptive_field.stride)
        and isinstance(row.output_shape, tuple)
    ]
    if names is not None:
        wanted = [names] if isinstance(names, str) else list(names)
        by_name = {row.name: row for row in spatial}
        missing = [name for name in wanted if name not in by_name]
        if missing:
            raise ValueError(
                f"There is no layer {missing[0]!r} with a place for each output. Those that have: "
                f"{', '.join(by_name)}."
            )
        return [by_name[name] for name in wanted]
    grown: list[LayerAnalysis] = []
    for row in spatial[1:]:
        before = grown[-1].receptive_field if grown else spatial[0].receptive_field
        if row.receptive_field and before and max(row.receptive_field.size) > max(before.size):
            grown.append(row)
    if not grown:
        raise ValueError("No layer sees more than one pixel and has a place for each output.")
    if len(grown) > 9:
        grown = [grown[i] for i in np.unique(np.linspace(0, len(grown) - 1, 9).round().astype(int))]
    return grown


def _boxes(rows: list[LayerAnalysis], position: Any) -> list[tuple[LayerAnalysis, Box]]:
    """The field of one output of each, padding included."""
    lengths = rows[-1].output_shape[1:3]
    place = tuple((n - 1) // 2 for n in lengths) if position is None else tuple(position)
    if len(place) != 2 or not all(0 <= p < n for p, n in zip(place, lengths, strict=True)):
        raise ValueError(f"{rows[-1].name} has {lengths} outputs, there is none at {position}.")
    boxes: list[tuple[LayerAnalysis, Box]] = []
    centre = [0.0, 0.0]
    for row in reversed(rows):
        field = row.receptive_field
        assert field is not None
        if boxes:
            place = tuple(
                int(
                    np.clip(
                        round((c - float(a.offset) - (a.size - 1) / 2) / float(a.stride)), 0, n - 1
                    )
                )
                for c, a, n in zip(centre, field.axes, row.output_shape[1:3], strict=True)
            )
        spans = []
        for p, axis in zip(place, field.axes, strict=True):
            start = axis.start(p)
            spans.append((start, start + axis.size - 1))
        if not boxes:
            centre = [(a + b) / 2 for a, b in spans]
        boxes.append((row, (spans[0], spans[1])))
    return boxes[::-1]
