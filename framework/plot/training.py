"""Pictures of a training run: learning curves, filters, predictions, and a summary of the three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from ..callbacks import History as Recorded
from .style import (
    BLUE,
    CROSS,
    GREY,
    INK,
    SIGNED,
    TICK,
    TIMES,
    TITLE,
    VERMILLION,
    class_name,
    new_figure,
    sheet,
    show_image,
)

History = Mapping[str, Sequence[float]]

_SHOWN, _MISTAKES = 21, 7  # images in a summary: the first ones, and a row of mistakes


def learning_curves(history: History | Recorded) -> Figure:
    """Loss and accuracy by epoch, training against held-out.

    Args:
        history: what `fit` returned, or lists by name as in its ``history``: any of ``loss``,
            ``accuracy``, ``val_loss``, ``val_accuracy``; other names are ignored.
    """
    figure = new_figure(10, 3.8)
    _draw_curves(figure, history)
    return figure


def filters(kernel: np.ndarray) -> Figure:
    """The filters of a convolution, zero in white, positive weights orange and negative purple.

    Args:
        kernel: ``(k_h, k_w, c_in, c_out)``; with more than one input channel each filter shows
            its mean over them.
    """
    figure = new_figure(6, 4)
    _draw_filters(figure, np.asarray(kernel))
    return figure


def predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Images with what was predicted: a blue tick when right, a red cross and the truth when wrong.

    Args:
        images: ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``; all of them are drawn.
        labels: the true classes, ``(N,)`` integers.
        predicted: the predicted classes ``(N,)``, or scores ``(N, classes)``, of which the largest
            counts.
        classes: the name of each class; its number if absent.
    """
    rows = -(-len(images) // _columns(len(images)))
    figure = new_figure(9, 0.5 + 1.4 * rows)
    _draw_predictions(figure, images, labels, _as_classes(predicted), classes)
    return figure


def summary(
    title: str,
    history: History | Recorded,
    kernel: np.ndarray | None,
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str] | None = None,
) -> Figure:
    """One picture of a run: its curves, its first layer's filters, and what it makes of new images.

    Args:
        title: a line above the picture.
        history: as for `learning_curves`.
        kernel: as for `filters`; None for a net without a convolution.
        images, labels, predicted, classes: as for `predictions`; the first images are drawn, and
            then a row of mistakes if there are any.
    """
    predicted = _as_classes(predicted)
    labels = np.asarray(labels).reshape(-1)
    figure = new_figure(13, 9.2)
    figure.suptitle(title, fontsize=16, fontweight="bold", color=INK)
    panels: Any = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    top, bottom = panels
    _draw_curves(top, history)
    chosen = _choose(labels, predicted)
    first = min(_SHOWN, len(labels))
    heading = f"Held-out images: the first {first}" + ", then mistakes" * (len(chosen) > first)
    parts = (images[chosen], labels[chosen], predicted[chosen], classes, heading)
    if kernel is None:
        _draw_predictions(bottom, *parts)
    else:
        panels = bottom.subfigures(1, 2, width_ratios=[1, 1.3], wspace=0.04)
        left, right = panels
        _draw_filters(left, np.asarray(kernel))
        _draw_predictions(right, *parts)
    return figure


def _draw_curves(figure: Figure | SubFigure, history: History | Recorded) -> None:
    history = history.history if isinstance(history, Recorded) else history
    left, right = figure.subplots(1, 2)
    _draw_curve(left, history, "loss", "Loss")
    _draw_curve(right, history, "accuracy", "Accuracy", percent=True)


def _draw_curve(axes: Axes, history: History, name: str, title: str, percent: bool = False) -> None:
    scale = 100 if percent else 1
    for key, label, colour, style in (
        (name, "training", BLUE, "--"),
        (f"val_{name}", "held out", VERMILLION, "-"),
    ):
        values = np.asarray(history.get(key, ())) * scale
        if len(values):
            epochs = np.arange(1, len(values) + 1)
            last = f"{values[-1]:.2f}%" if percent else f"{values[-1]:.3f}"
            axes.plot(
                epochs,
                values,
                style,
                color=colour,
                linewidth=2,
                marker="o",
                markersize=4,
                label=f"{label}, at the end {last}",
            )
    axes.set_title(title, loc="left", **TITLE)
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Correct (%)" if percent else "Mean per image")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not percent:
        axes.set_ylim(bottom=0)
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, loc="lower right" if percent else "upper right")
    else:
        axes.text(0.5, 0.5, "no complete epoch", color=GREY, ha="center", transform=axes.transAxes)


def _draw_filters(figure: Figure | SubFigure, kernel: np.ndarray) -> None:
    if kernel.ndim != 4:
        raise ValueError(
            f"plot.filters() expected a kernel (k_h, k_w, c_in, c_out), received {kernel.shape}."
        )
    k_h, k_w, channels, count = kernel.shape
    drawn = sheet(kernel.mean(axis=2), columns=int(np.ceil(np.sqrt(count * 1.3))))
    limit = float(np.nanmax(np.abs(drawn))) or 1.0
    axes = figure.subplots()
    axes.set_axis_off()
    image = axes.imshow(drawn, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="none")
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.7, aspect=30, pad=0.04)
    bar.set_label("Weight")
    mean = f", mean of {channels} channels" if channels > 1 else ""
    figure.suptitle(f"First-layer filters: {count}, each {k_h}{TIMES}{k_w}{mean}", **TITLE)


def _draw_predictions(
    figure: Figure | SubFigure,
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str] | None,
    title: str = "Predictions",
) -> None:
    labels = np.asarray(labels).reshape(-1)
    columns = _columns(len(images))
    grid = figure.subplots(-(-len(images) // columns), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, label, guess in zip(grid.flat, images, labels, predicted, strict=False):
        show_image(axes, image)
        said, truth = class_name(guess, classes), class_name(label, classes)
        right, short = guess == label, len(said + truth) < 5
        mistake = f"{CROSS} {said}{', ' if short else chr(10)}is {truth}"
        axes.set_title(
            f"{TICK} {said}" if right else mistake,
            fontsize=11 if short else 8,
            color=BLUE if right else VERMILLION,
            fontweight="normal" if right else "bold",
            pad=3,
        )
    figure.suptitle(f"{title} ({TICK} right, {CROSS} wrong)", **TITLE)


def _columns(count: int) -> int:
    return min(7, max(1, count))


def _as_classes(predicted: np.ndarray) -> np.ndarray:
    predicted = np.asarray(predicted)
    return predicted.argmax(axis=1) if predicted.ndim == 2 else predicted


def _choose(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The first images, and after them a row of mistakes."""
    mistakes = np.flatnonzero(labels != predicted)
    mistakes = mistakes[mistakes >= _SHOWN][:_MISTAKES]
    return np.concatenate([np.arange(min(_SHOWN, len(labels))), mistakes])
