"""Pictures of one image in a net: what every layer makes of it, and which pixels matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .. import ops
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, tensor
from ..autograd.tree import is_shape, tree_leaves
from ..layers.symbolic import calls_of
from ..model.model import Model
from .style import (
    BLUE,
    GREY,
    INK,
    SIGNED,
    TITLE,
    as_image,
    class_name,
    dimensions,
    new_figure,
    sheet,
    show_image,
)

#: Layers that show nothing which the one before has not shown.
_PLAIN = ("InputLayer", "Flatten", "Dropout", "Reshape", "Identity", "Rescaling")
_MANY = 12  # layers; of more, only the last ones of each size are drawn
_MAPS, _COLUMNS, _UNITS = 32, 16, 64  # of a layer at most; in a row; of a dense layer in a row
_WIDTH, _LABELS = 11.0, 2.3  # inches: of the figure, and of the names on its left


def feature_maps(
    model: Any,
    image: Any,
    layers: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One image on its way through a net, layer by layer, down to the answer.

    Zero is white, positive numbers are orange, negative ones purple, on a scale for each layer.

    Args:
        model: Sequential or functional, built.
        image: ``(H, W, C)`` or ``(H, W)``, as the model takes it.
        layers: names of those to draw. Default: all with an output of their own; of deep nets the
            last one of each size.
        classes: the name of each class, for the answer.

    Raises:
        ValueError: there is no such layer, or the model does not know its layers' outputs.
    """
    chosen = _chosen(model, layers)
    x = _sample(model, image)
    with no_grad():
        outputs = Model(model.input, [layer.output for layer in chosen])(x, training=False)
    values = [t.numpy()[0] for t in tree_leaves(outputs)]
    answer = values.pop() if values[-1].ndim == 1 else None
    pictures = [_maps(v) for v in values]
    heights = [_height(p) for p in pictures]
    top, gap, last = 0.55, 0.28, (1.3 if answer is not None else 0.0)
    first = 1.1
    height = top + first + gap + sum(heights) + gap * len(heights) + last + 0.25
    figure = new_figure(_WIDTH, height, layout=False)
    figure.text(0.02, 1 - 0.28 / height, f"{model.name}, layer by layer", va="center", **TITLE)

    def place(y: float, h: float, w: float = _WIDTH - _LABELS - 0.3) -> Any:
        return figure.add_axes((_LABELS / _WIDTH, (y - h) / height, w / _WIDTH, h / height))

    def label(y: float, h: float, name: str, shape: str, note: str = "") -> None:
        middle = (y - h / 2) / height
        line = 0.09 / height
        figure.text(
            0.02, middle + line, name, fontsize=10, fontweight="bold", color=INK, va="center"
        )
        figure.text(0.02, middle - line, f"{shape}{note}", fontsize=8.5, color=GREY, va="center")

    y = height - top
    axes = place(y, first)
    axes.set_axis_off()
    show_image(axes, image)
    axes.set_anchor("W")
    label(y, first, "input", dimensions(x.shape[1:]))
    y -= first + gap
    for layer, value, picture, h in zip(chosen, values, pictures, heights, strict=False):
        axes = place(y, h)
        axes.set_axis_off()
        axes.set_anchor("W")
        limit = float(np.nanmax(np.abs(picture))) or 1.0
        axes.imshow(picture, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="none")
        _frames(axes, picture, value)
        cut = value.ndim == 3 and value.shape[:2] != (1, 1) and value.shape[-1] > _MAPS
        note = f", first {_MAPS}" if cut else ""
        label(y, h, layer.name, dimensions(value.shape), note)
        y -= h + gap
    if answer is not None:
        axes = place(y, last - 0.3)
        _bars(axes, answer, classes)
        label(y, last - 0.3, chosen[-1].name, dimensions(answer.shape))
    return figure


def saliency(
    model: Any, image: Any, label: int | None = None, classes: Sequence[str] | None = None
) -> Figure:
    """Which pixels a class depends on: the gradient of its score (Simonyan et al., 2014).

    Where the model returns probabilities it is the gradient of their logarithm, which does not fade
    when the net is sure.

    Args:
        model: of one image input and one output of scores.
        image: ``(H, W, C)`` or ``(H, W)``, as the model takes it.
        label: the class. Default: the one with the largest score.
        classes: the name of each class; its number if absent.

    Raises:
        ValueError: the output is not one vector of scores.
    """
    x = tensor(_sample(model, image), requires_grad=True)
    scores = model(x, training=False)
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        raise ValueError("plot.saliency() expected a model with one output of shape (N, classes).")
    shares = scores.numpy()[0]
    target = int(shares.argmax()) if label is None else int(label)
    probable = bool(np.all(shares >= 0) and abs(shares.sum() - 1) < 1e-3)
    score = scores[0, target]
    (ops.log(score) if probable else score).backward()
    assert x.grad is not None
    gradient = x.grad.numpy()[0]
    strength = np.abs(gradient).max(axis=-1) if gradient.ndim == 3 else np.abs(gradient)
    signed = gradient.sum(axis=-1) if gradient.ndim == 3 else gradient

    figure = new_figure(10, 3.9)
    left, middle, right = figure.subplots(1, 3)
    name = class_name(target, classes)
    said = f"{name} ({shares[target]:.1%})" if probable else f"{name} (score {shares[target]:.3g})"
    show_image(left, image)
    left.set_title("The image", loc="left", **TITLE)
    picture = middle.imshow(strength, cmap="magma", vmin=0)
    middle.set_title("How much each pixel matters", loc="left", **TITLE)
    bar = _bar(figure, picture, middle, "Size of the gradient")
    bar.set_ticks([0, float(strength.max()) or 1.0], labels=["0", f"{strength.max():.2g}"])
    grey = as_image(image)
    grey = grey if grey.ndim == 2 else grey.mean(axis=-1)
    right.imshow(grey, cmap="gray_r", alpha=0.35)
    limit = float(np.quantile(np.abs(signed), 0.998)) or 1.0
    visible = np.clip(np.abs(signed) / limit, 0, 1) ** 0.7
    picture = right.imshow(signed, cmap=SIGNED, vmin=-limit, vmax=limit, alpha=visible)
    right.set_title("Raising a pixel would ...", loc="left", **TITLE)
    bar = _bar(figure, picture, right, f"Gradient for {name}")
    bar.set_ticks([-limit, 0, limit], labels=["speak against it", "0", "speak for it"])
    _bar(figure, left.images[0], left, "Pixel")
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(f"Saliency of {said}", **TITLE)
    return figure


def _bar(figure: Figure, picture: Any, axes: Any, label: str) -> Any:
    bar = figure.colorbar(picture, ax=axes, location="bottom", shrink=0.8, aspect=28, pad=0.04)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    return bar


def _sample(model: Any, image: Any) -> np.ndarray:
    """A batch of one image, with a channel axis if it has none."""
    x = as_image(image)
    x = x[..., None] if x.ndim == 2 else x
    return np.asarray(x, model.dtype)[None]


def _chosen(model: Any, names: Sequence[str] | None) -> list[Any]:
    """The layers to draw."""
    try:
        model.input  # noqa: B018  (raises where it is not known)
        if names is not None:
            return [model.get_layer(name) for name in names]
        known = [
            v for v in model.layers if len(calls_of(v)) == 1 and type(v).__name__ not in _PLAIN
        ]
        known = [v for v in known if is_shape(v.output_shape) and len(v.output_shape) in (2, 4)]
    except AttributeError as error:
        raise ValueError(
            f"plot.feature_maps() needs a Sequential or functional model: {error}"
        ) from error
    if len(known) <= _MANY:
        return known
    last = {v.output_shape[1:-1] if len(v.output_shape) == 4 else v.name: v for v in known}
    return list(last.values())


def _maps(value: np.ndarray) -> np.ndarray:
    """The maps ``(H, W, C)`` or the numbers ``(n,)`` of a layer as one image."""
    if value.ndim == 3 and value.shape[:2] != (1, 1):
        return sheet(value[..., :_MAPS], _COLUMNS, block=1 if value.shape[0] > 40 else 4)
    numbers = value.reshape(-1)
    rows = -(-len(numbers) // _UNITS)
    strip = np.full(rows * _UNITS, np.nan)
    strip[: len(numbers)] = numbers
    return strip.reshape(rows, _UNITS)[:, : min(_UNITS, len(numbers))]


def _height(picture: np.ndarray) -> float:
    """Inches, so that maps fill the width but are not taller than an inch."""
    rows, columns = picture.shape
    width = _WIDTH - _LABELS - 0.3
    return max(0.22, min(rows * width / max(columns, 1), 1.15 if columns > rows else 1.0))


def _frames(axes: Any, picture: np.ndarray, value: np.ndarray) -> None:
    """Thin frames around maps and units, so that white ones are seen."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if value.ndim == 3 and value.shape[:2] != (1, 1):
        block = 1 if value.shape[0] > 40 else 4
        height, width = value.shape[0] * block, value.shape[1] * block
        step_y, step_x = height + 2, width + 2
        places = [divmod(i, _COLUMNS) for i in range(min(value.shape[-1], _MAPS))]
    else:
        height = width = step_y = step_x = 1
        places = [divmod(i, _UNITS) for i in range(value.size)]
    boxes = [Rectangle((c * step_x - 0.5, r * step_y - 0.5), width, height) for r, c in places]
    frames = PatchCollection(boxes, facecolor="none", edgecolor="#BBBBBB", linewidth=0.5)
    axes.add_collection(frames)
    rows, columns = picture.shape
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)


def _bars(axes: Any, answer: np.ndarray, classes: Sequence[str] | None) -> None:
    """The answer: a bar for each class, or for the ten likeliest."""
    order = np.arange(len(answer)) if len(answer) <= 20 else np.sort(np.argsort(-answer)[:10])
    best = int(answer.argmax())
    colours = [BLUE if i == best else "#C8C8C8" for i in order]
    axes.bar(range(len(order)), answer[order], color=colours, width=0.8)
    names = [class_name(i, classes) for i in order]
    axes.set_xticks(range(len(order)), names, fontsize=9)
    place = int(np.flatnonzero(order == best)[0])
    text = f"{answer[best]:.1%}" if answer.min() >= 0 else f"{answer[best]:.3g}"
    style = {"ha": "center", "va": "bottom", "fontsize": 9, "color": BLUE, "fontweight": "bold"}
    axes.text(place, answer[best], text, **style)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[["top", "left", "right"]].set_visible(False)
