"""A model as a table: its layers, their output shapes and how many parameters they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .layers.base import Layer
from .variable import Variable

HEADINGS = ("Layer (type)", "Output Shape", "Param #")
_MIN_WIDTHS = (28, 22, 12)


def summary_text(
    model: Any,
    line_length: int | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
) -> str:
    """The table.

    Args:
        model: with `layers`.
        line_length: the width in characters. Default: as wide as it needs to be.
        expand_nested: also list the layers of models that are layers.
        show_trainable: add a column that says which layers are trained.
    """
    rows = [
        (name, shape, count, *(("yes" if layer.trainable else "no",) if show_trainable else ()))
        for layer, name, shape, count in _rows(model, expand_nested)
    ]
    headings = (*HEADINGS, "Trainable") if show_trainable else HEADINGS
    widths = [
        max(minimum, *(len(row[i]) for row in (headings, *rows)))
        for i, minimum in enumerate((*_MIN_WIDTHS, 9)[: len(headings)])
    ]
    if line_length is not None:
        widths[0] = max(
            len(headings[0]), widths[0] + line_length - sum(widths) - 2 * len(widths) + 2
        )
    width = sum(widths) + 2 * len(widths) - 2
    lines = [f'Model: "{model.name}"', "-" * width, _line(headings, widths), "=" * width]
    lines += [_line(row, widths) for row in rows]
    lines += ["-" * width, *_totals(model)]
    if not model.built:
        lines.append(
            "Not built yet: shapes and parameters are known after an Input as the first layer, "
            "build(input_shape), or the first data."
        )
    return "\n".join(lines)


def _rows(model: Any, expand: bool, indent: str = "") -> Iterator[tuple[Layer, str, str, str]]:
    for layer in model.layers:
        name = f"{indent}{layer.name} ({type(layer).__name__})"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        yield layer, name, _shape_text(layer), count
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer, expand, indent + "  ")


def _shape_text(layer: Layer) -> str:
    return str(layer.output_shape) if layer.built else "?"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    parts = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if len(cell) > width:
            cell = cell[: width - 3] + "..."
        parts.append(cell.rjust(width) if i == 2 else cell.ljust(width))
    return "  ".join(parts).rstrip()


def _totals(model: Any) -> list[str]:
    kinds = [
        ("Total params", model.weights),
        ("Trainable params", model.trainable_weights),
        ("Non-trainable params", model.non_trainable_weights),
    ]
    return [f"{kind}: {_count(v):,} ({_size(v)})" for kind, v in kinds]


def _count(variables: list[Variable]) -> int:
    return sum(v.size for v in variables)


def _size(variables: list[Variable]) -> str:
    """Memory in units of 1024."""
    size = float(sum(v.data.nbytes for v in variables))
    units = ["TB", "GB", "MB", "KB", "B"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop()
    return f"{size:.2f} {units[-1]}"
