"""The architecture of a net as blocks and arrows.

Layers lie in rows, each below everything it depends on. An arrow that jumps over rows gets a lane
of its own in each of them (Sugiyama, Tagawa and Toda, "Methods for visual understanding of
hierarchical system structures", 1981), so that nothing is crossed out.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path

from ..autograd.tree import is_shape
from ..inspection.analysis import LayerAnalysis, analysis
from .style import GREY, INK, TITLE, dimensions, new_figure

#: What a layer is, by parts of the name of its class; the first that fits.
_KINDS = (
    ("input", "#FFFFFF", ("Input",)),
    ("convolution", "#BFDDF2", ("Conv", "Local")),
    ("pooling", "#F9D3B8", ("Pooling", "Subsampling")),
    ("dense", "#BDE5D3", ("Dense", "RBF")),
    (
        "merge",
        "#F7EDA6",
        ("Add", "Concatenate", "Average", "Maximum", "Minimum", "Multiply", "Subtract"),
    ),
    ("model", "#E8D3E4", ("Sequential", "Model", "Functional")),
    ("other", "#ECECEC", ("",)),
)
#: Layers that are written into the block before them, where nothing else comes between.
_QUIET = ("Activation", "BatchNormalization", "Dropout", "ReLU", "Softmax", "LeakyReLU", "ELU",
          "LocalResponseNormalization", "LayerNormalization", "SpatialDropout2D")  # fmt: skip
_SHORT = {"BatchNormalization": "batch norm", "LocalResponseNormalization": "local norm",
          "LayerNormalization": "layer norm"}  # fmt: skip
_ONE_LINE = 7.0  # inches that a title on one line may need
_WIDE, _LANE, _TALL, _GAP = 2.2, 0.4, 0.64, 0.3  # inches: of a block, a lane, a row, between rows
_PAGE = 24  # rows in a column


@dataclass(eq=False)
class _Node:
    """A block, or a lane of an arrow through a row (without rows of its own)."""

    rows: list[LayerAnalysis] = field(default_factory=list)
    sources: list[_Node] = field(default_factory=list)
    depth: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return _WIDE if self.rows else _LANE


def architecture(model: Any, input_shape: Any = None, columns: int | None = None) -> Figure:
    """The layers of a model as blocks with their shapes and parameters, from the input down.

    Activations, normalisation and dropout are written into the block before them. Of colours only
    the kind of a layer can be told, which its text says too.

    Args:
        model: see `gradtape.analysis`.
        input_shape: of one sample, if the model has not been built.
        columns: into how many columns a long net is cut. Default: as many as make a page.
    """
    found = analysis(model, input_shape)
    nodes = _nodes([row for row in found.rows if row.depth == 0])
    layers = _layered(nodes)
    _place(layers)
    starts = _column_starts(layers, columns or min(4, -(-len(layers) // _PAGE)))
    count = len(starts)
    per = max(b - a for a, b in pairwise([*starts, len(layers)]))
    left = min(n.x - n.width / 2 for row in layers for n in row) - 0.25
    width = max(n.x + n.width / 2 for row in layers for n in row) + 0.25 - left
    height = per * (_TALL + _GAP) + 0.2
    wide = max(count * width, 4.6) + 0.2
    legend, top = 0.35, 0.45 if wide > _ONE_LINE else 0.85
    figure = new_figure(wide, height + legend + top, layout=False)
    size = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, size[0])
    axes.set_ylim(-legend, size[1] - legend)
    indent = (size[0] - count * width) / 2

    def at(node: _Node) -> tuple[float, float]:
        column = bisect_right(starts, node.depth) - 1
        row = node.depth - starts[column]
        return indent + column * width + node.x - left, height - (row + 0.5) * (_TALL + _GAP)

    for row in layers:
        for node in row:
            for source in node.sources:
                _arrow(axes, at(source), at(node), source, node)
            if node.rows:
                _block(axes, at(node), node)
    totals = found.totals
    facts = f"{totals.parameters:,} parameters", f"{totals.multiply_adds:,} multiply-adds"
    title = (
        f"{model.name}: {', '.join(facts)}" if wide > _ONE_LINE else "\n".join((model.name, *facts))
    )
    axes.text(0.2, size[1] - legend - top / 2, title, va="center", **TITLE)
    used = {_kind(n.rows[0])[0] for n in nodes}
    handles = [Patch(facecolor=c, edgecolor=GREY, label=k) for k, c, _ in _KINDS if k in used]
    figure.legend(
        handles=handles, loc="lower center", ncols=max(3, int(size[0] / 1.05)), frameon=False,
        fontsize=8, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _column_starts(layers: list[list[_Node]], count: int) -> list[int]:
    """The first row of each column: where arrows from few blocks have to be led over."""

    def cost(row: int, wished: float) -> tuple[int, float]:
        led = {id(source) for node in layers[row] for source in node.sources}
        return len(led), abs(row - wished)

    starts = [0]
    for k in range(1, count):
        wished = k * len(layers) / count
        near = [i for i in range(starts[-1] + 1, len(layers)) if abs(i - wished) <= 4]
        if near:
            starts.append(min(near, key=lambda i: cost(i, wished)))
    return starts


def _nodes(rows: list[LayerAnalysis]) -> list[_Node]:
    """Blocks in the order of computation, and what each is connected to."""
    uses: dict[int, int] = {}
    for row in rows:
        for source in row.sources:
            uses[source] = uses.get(source, 0) + 1
    nodes: list[_Node] = []
    made: dict[int, _Node] = {}
    for number, row in enumerate(rows):
        only = row.sources[0] if len(row.sources) == 1 else None
        if only is not None and uses[only] == 1 and type(row.layer).__name__ in _QUIET:
            made[number] = made[only]
            made[number].rows.append(row)
            continue
        node = _Node([row], list(dict.fromkeys(made[s] for s in row.sources)))
        made[number] = node
        nodes.append(node)
    return nodes


def _layered(nodes: list[_Node]) -> list[list[_Node]]:
    """Rows from the top, with lanes for the arrows that jump."""
    for node in nodes:
        node.depth = max((s.depth + 1 for s in node.sources), default=0)
    rows: list[list[_Node]] = [[] for _ in range(max(n.depth for n in nodes) + 1)]
    for node in nodes:
        rows[node.depth].append(node)
    lanes: dict[tuple[int, int], _Node] = {}
    for node in nodes:
        for i, source in enumerate(node.sources):
            last = source
            for depth in range(source.depth + 1, node.depth):
                key = (id(source), depth)  # arrows from one block share a lane
                if key not in lanes:
                    lanes[key] = _Node([], [last], depth)
                    rows[depth].append(lanes[key])
                last = lanes[key]
            node.sources[i] = last
    return rows


def _place(rows: list[list[_Node]]) -> None:
    """Find an order in each row, and places, near those of what a node is connected to."""
    below: dict[int, list[_Node]] = {}
    for row in rows:
        for node in row:
            for source in node.sources:
                below.setdefault(id(source), []).append(node)
    for row in rows:
        _spread(row, [float(i) for i in range(len(row))])
    for sweep in range(12):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wished = []
            for node in row:
                near = node.sources if sweep % 2 == 0 else below.get(id(node), [])
                wished.append(float(np.mean([n.x for n in near])) if near else node.x)
            if sweep < 6:  # lanes to the right of blocks that would be in the same place
                order = sorted(range(len(row)), key=lambda i: (wished[i], not row[i].rows))
                row[:] = [row[i] for i in order]
                wished = [wished[i] for i in order]
            _spread(row, wished)


def _spread(row: list[_Node], wished: list[float]) -> None:
    """Nodes as near as may be to where they would be, in this order, without overlap.

    Least squares under ``x[i + 1] - x[i] >= distance`` is isotonic regression: pool neighbours that
    collide.
    """
    reach = [0.0]
    for a, b in pairwise(row):
        reach.append(reach[-1] + (a.width + b.width) / 2 + 0.25)
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wished, reach, strict=True):
        mean, count = wish - offset, 1
        while pools and pools[-1][0] > mean:
            before, n = pools.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    for node, mean, offset in zip(row, means, reach, strict=True):
        node.x = mean + offset


def _kind(row: LayerAnalysis) -> tuple[str, str]:
    name = type(row.layer).__name__
    if hasattr(row.layer, "layers"):
        name = "Model"
    if "Pooling" in name:
        name = "Pooling"  # not the merge that its Average or Max would be
    return next((kind, colour) for kind, colour, parts in _KINDS if any(p in name for p in parts))


def _block(axes: Any, place: tuple[float, float], node: _Node) -> None:
    x, y = place
    row = node.rows[0]
    _, colour = _kind(row)
    axes.add_patch(
        FancyBboxPatch(
            (x - _WIDE / 2 + 0.05, y - _TALL / 2 + 0.05),
            _WIDE - 0.1,
            _TALL - 0.1,
            boxstyle="round,pad=0.05,rounding_size=0.08",
            facecolor=colour,
            edgecolor=GREY,
            linewidth=0.8,
            zorder=3,
        )
    )
    shape = row.output_shape
    text = dimensions(shape[1:]) if is_shape(shape) else "several outputs"
    parameters = sum(r.parameters for r in node.rows)
    below = f"{text}   {parameters:,} parameters" if parameters else text
    lines = ((row.name, "bold"), (_title(node), "normal"), (below, "normal"))
    for line, (written, weight) in enumerate(lines):
        axes.text(
            x, y + 0.17 * (1 - line), _cut(written, 40), ha="center", va="center", fontsize=7.5,
            color=INK, fontweight=weight, zorder=4,
        )  # fmt: skip


def _title(node: _Node) -> str:
    """As in ``Conv2D 5x5, batch norm, relu``."""
    layer = node.rows[0].layer
    kind = type(layer).__name__
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    strides = getattr(layer, "strides", None)
    parts = [kind + (f" {dimensions(size)}" if size else "")]
    if strides and any(s != 1 for s in strides):
        parts[0] += f" /{strides[0] if len(set(strides)) == 1 else dimensions(strides)}"
    for row in node.rows:
        name = type(row.layer).__name__
        function = getattr(getattr(row.layer, "activation", None), "__name__", "linear")
        if name in _QUIET and row is not node.rows[0] and name != "Activation":
            parts.append(_SHORT.get(name, name.lower()))
        if function != "linear":
            parts.append(function)
    return ", ".join(parts)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _arrow(
    axes: Any, a: tuple[float, float], b: tuple[float, float], source: _Node, node: _Node
) -> None:
    """A line from the lower edge of one to the upper edge of the other."""
    line: Any = {"color": GREY, "linewidth": 1, "zorder": 1}
    start = (a[0], a[1] - (_TALL / 2 if source.rows else 0))
    end = (b[0], b[1] + _TALL / 2)
    if end[1] > start[1]:  # into the next column: two stumps, each with a dot
        for x, y, stump in ((*start, -0.16), (*end, 0.16)):
            axes.plot([x, x], [y, y + stump], **line)
            axes.plot(x, y + stump, "o", color=GREY, markersize=3, zorder=1)
    else:
        middle = (start[1] + end[1]) / 2
        path = Path(
            [start, (start[0], middle), (end[0], middle), end],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor=GREY, linewidth=1, zorder=1))
    if node.rows:
        axes.plot([end[0]], [end[1] + 0.05], "v", color=GREY, markersize=4, zorder=2)
    else:
        axes.plot([end[0], b[0]], [end[1], b[1]], **line)
