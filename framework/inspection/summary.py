"""A model as a table: its layers, their output shapes and parameters, what they cost and see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.tree import tree_map
from ..autograd.variable import Variable
from ..layers.base import Layer
from ..layers.symbolic import Call
from .analysis import analysis as analysis_of

if TYPE_CHECKING:
    from fractions import Fraction

HEADINGS = ("Layer (type)", "Output Shape", "Param #")
_CONNECTED, _TRAINABLE = "Connected to", "Trainable"
#: Columns of the analysis, in the order in which they are left out where there is no room.
_COSTS = ("Memory", "Receptive field", "Multiply-adds")
_MIN_WIDTHS = {HEADINGS[0]: 24, HEADINGS[1]: 18, HEADINGS[2]: 10}
_SHRUNK = {HEADINGS[0]: 24, _CONNECTED: 20}  # cut their texts rather than lose a column
_RIGHT = {HEADINGS[2], "Multiply-adds", "Memory"}
_GAP = 2
_WIDE = 132  # where there is no terminal, as in a notebook


def summary_text(
    model: Any,
    line_length: int | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    batch_size: int = 32,
) -> str:
    """The table.

    Args:
        model: with `layers`.
        line_length: the width in characters. Default: as wide as it needs to be; columns of the
            analysis are left out where the terminal is too narrow for them.
        expand_nested: also list the layers of models that are layers.
        show_trainable: add a column that says which layers are trained.
        batch_size: the samples that memory is counted for; see `gradtape.analysis`.
    """
    topology = getattr(model, "_topology", None)
    connected = topology is not None and not topology.linear
    analysis, why_not = _analysis(model, batch_size)
    columns = [*HEADINGS, *[_CONNECTED] * connected, *[_TRAINABLE] * show_trainable]
    columns[3:3] = reversed(_COSTS) if analysis else ()
    rows = [
        {
            HEADINGS[0]: name,
            HEADINGS[1]: _shape_text(layer, owner),
            HEADINGS[2]: f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
            _CONNECTED: _sources(layer, owner),
            _TRAINABLE: "yes" if layer.trainable else "no",
            **_cost_texts(analysis, layer),
        }
        for layer, owner, name in _rows(model, expand_nested)
    ]
    widths = _widths(columns, rows, line_length)
    width = sum(widths.values()) + _GAP * (len(widths) - 1)
    headings = {name: name for name in widths}
    lines = [f'Model: "{model.name}"', "-" * width, _line(headings, widths), "=" * width]
    lines += [_line(row, widths) for row in rows]
    lines += ["-" * width, *_totals(model)]
    if analysis:
        lines += _training(analysis)
        if _COSTS[1] in widths:
            lines.append("Receptive field: size /stride first-pixel, of the input.")
    elif why_not:
        lines.append(f"Not analysed: {why_not}")
    if not model.built:
        lines.append(
            "Not built yet: shapes and parameters are known after an Input as the first layer, "
            "build(input_shape), or the first data."
        )
    return "\n".join(lines)


def _analysis(model: Any, batch_size: int) -> tuple[Any, str]:
    """The analysis, or None and why there is none."""
    if not model.built:
        return None, ""
    try:
        return analysis_of(model, batch_size=batch_size), ""
    except ValueError as error:
        return None, str(error)


def _widths(
    columns: Sequence[str], rows: list[dict[str, str]], line_length: int | None
) -> dict[str, int]:
    """The columns that have room, and how wide they are."""
    natural = {
        c: max(_MIN_WIDTHS.get(c, 0), len(c), *(len(row[c]) for row in rows), 0) for c in columns
    }
    import shutil  # slow to import

    limit = line_length or shutil.get_terminal_size((_WIDE, 24)).columns

    def spare(widths: dict[str, int]) -> int:
        return limit - sum(widths.values()) - _GAP * (len(widths) - 1)

    kept = dict(natural)
    for name in (None, *_COSTS):
        if name is not None:
            kept.pop(name, None)
        widths = {c: min(n, _SHRUNK.get(c, n)) for c, n in kept.items()}
        if spare(widths) >= 0:
            break
    else:
        if line_length is None:
            return kept
    for name in _SHRUNK.keys() & widths.keys():
        widths[name] += max(0, min(spare(widths), natural[name] - widths[name]))
    if line_length is not None:
        widths[HEADINGS[0]] = max(len(HEADINGS[0]), widths[HEADINGS[0]] + spare(widths))
    return widths


def _cost_texts(analysis: Any, layer: Layer) -> dict[str, str]:
    """What an analysis says of a layer, of all its calls together."""
    found = [row for row in analysis or () if row.layer is layer]
    if not found:
        return dict.fromkeys(_COSTS, "")
    cost = sum(row.multiply_adds for row in found)
    texts = (
        _memory(sum(row.activation_bytes for row in found)),
        _field_text(found[0].receptive_field),
        _number(cost) if cost else "",
    )
    return dict(zip(_COSTS, texts, strict=True))


def _field_text(field: Any) -> str:
    """As in ``14x14 /2 -2``: numbers that are the same for all axes are said once."""
    if field is None:
        return ""
    size = "x".join(str(n) for n in field.size)
    if not any(field.stride):
        return size
    return f"{size} /{_alike(field.stride)} {_alike(field.offset)}"


def _alike(numbers: Sequence[int | Fraction]) -> str:
    return ",".join(str(n) for n in (numbers[:1] if len(set(numbers)) == 1 else numbers))


def _number(n: int) -> str:
    """A count, from a million on with a unit."""
    if n < 1_000_000:
        return f"{n:,}"
    units = ["M", "G", "T", "P"]
    size = n / 1e6
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.4g} {units[0]}"


def _training(analysis: Any) -> list[str]:
    totals = analysis.totals
    parts = (
        ("activations", totals.activation_bytes),
        ("parameters", totals.parameter_bytes),
        ("gradients", totals.gradient_bytes),
        (analysis.optimizer, totals.optimizer_bytes),
    )
    listed = ", ".join(f"{name} {_memory(n)}" for name, n in parts)
    return [
        f"Multiply-adds: {_number(totals.multiply_adds)} for one sample",
        f"Memory to train on batches of {analysis.batch_size}, at least: "
        f"{_memory(totals.training_bytes)}",
        f"  ({listed})",
    ]


def _rows(model: Any, expand: bool, indent: str = "") -> Iterator[tuple[Layer, Any, str]]:
    """Every layer with the model it is in, and what it is called."""
    for layer in model.layers:
        yield layer, model, f"{indent}{layer.name} ({type(layer).__name__})"
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer, expand, indent + "  ")


def _calls(layer: Layer, owner: Any) -> list[Call]:
    """The calls of a layer within a functional model."""
    topology = getattr(owner, "_topology", None)
    return topology.calls_of(layer) if topology is not None else []


def _shape_text(layer: Layer, owner: Any) -> str:
    shapes = [str(tree_map(lambda t: t.shape, call.outputs)) for call in _calls(layer, owner)]
    if shapes:
        return ", ".join(dict.fromkeys(shapes))
    return str(layer.output_shape) if layer.built else "?"


def _sources(layer: Layer, owner: Any) -> str:
    """The layers whose outputs a layer is called on."""
    return ", ".join(t.call.layer.name for call in _calls(layer, owner) for t in call.sources())


def _line(cells: dict[str, str], widths: dict[str, int]) -> str:
    parts = []
    for name, width in widths.items():
        cell = cells[name]
        if len(cell) > width:
            cell = cell[: width - 3] + "..."
        parts.append(cell.rjust(width) if name in _RIGHT else cell.ljust(width))
    return (" " * _GAP).join(parts).rstrip()


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
    return _memory(sum(v.data.nbytes for v in variables))


def _memory(size: float) -> str:
    """Bytes, in units of 1024."""
    units = ["TB", "GB", "MB", "KB", "B"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop()
    return f"{size:.2f} {units[-1]}"
