"""Pictures of what a net gets wrong: the confusion matrix, and the mistakes it is surest of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .style import BLUE, CROSS, GREY, INK, TITLE, VERMILLION, class_name, new_figure, show_image


def confusion_matrix(labels: Any, predicted: Any, classes: Sequence[str] | None = None) -> Figure:
    """How often each class was taken for each other one.

    The shade of a cell is its share of its row: blue where the net is right, orange where not.

    Args:
        labels: the true classes, ``(N,)`` or ``(N, 1)`` integers.
        predicted: the predicted classes ``(N,)``, or scores ``(N, classes)``.
        classes: the name of each class; its number if absent.

    Raises:
        ValueError: different numbers of labels and predictions, or none.
    """
    labels, scores = _checked(labels, predicted)
    guesses = scores.argmax(axis=1) if scores.ndim == 2 else scores
    known = len(classes) if classes else 0
    count = max(int(labels.max()) + 1, int(guesses.max()) + 1, known)
    if scores.ndim == 2:
        count = max(count, scores.shape[1])
    table = np.zeros((count, count), int)
    np.add.at(table, (labels, guesses), 1)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)

    side = max(4.5, 0.52 * count + 2)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    own = np.eye(count, dtype=bool)
    axes.imshow(np.where(own, shares, np.nan), cmap="Blues", vmin=0, vmax=1.15)
    # Mistakes are rare: their shades begin earlier, so that one in a hundred can be seen.
    mistakes = np.where(own | (table == 0), np.nan, np.sqrt(shares))
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=0.8)
    axes.set_facecolor("#F6F6F6")
    for (row, column), n in np.ndenumerate(table):
        if n:
            dark = shares[row, column] > (0.6 if row == column else 0.3)
            axes.text(
                column, row, f"{n:,}", ha="center", va="center",
                fontsize=9 if n < 1000 else 7, color="white" if dark else INK,
                fontweight="bold" if row == column else "normal",
            )  # fmt: skip
    names = [class_name(i, classes) for i in range(count)]
    long = max(map(len, names)) > 3
    axes.set_xticks(
        range(count), names, rotation=40 if long else 0, ha="right" if long else "center"
    )
    right = [f"{name}   {share:.0%}" for name, share in zip(names, shares.diagonal(), strict=True)]
    axes.set_yticks(range(count), right)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True class, and how much of it is recognised")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    correct = int(table.trace())
    axes.set_title(f"{correct:,} of {len(labels):,} right ({correct / len(labels):.1%})", **TITLE)
    return figure


def worst_mistakes(
    images: Any,
    labels: Any,
    scores: Any,
    classes: Sequence[str] | None = None,
    count: int = 12,
) -> Figure:
    """The images on which a net is surest of a wrong answer.

    Below each are two bars: the probability of the answer, and that of the truth.

    Args:
        images: ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``.
        labels: the true classes, ``(N,)`` or ``(N, 1)`` integers.
        scores: the probability of each class, ``(N, classes)``, as `predict` returns it.
        classes: the name of each class; its number if absent.
        count: how many to show, at most.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    labels, scores = _checked(labels, scores)
    if scores.ndim != 2 or len(images) != len(labels):
        raise ValueError(
            "plot.worst_mistakes() expected an image and a row of scores for each label, received "
            f"{len(images)} images, {len(labels)} labels and scores of shape {scores.shape}."
        )
    guesses = scores.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    chosen = wrong[np.argsort(-scores[wrong, guesses[wrong]], kind="stable")][:count]
    columns = min(6, max(1, len(chosen)))
    rows = max(1, -(-len(chosen) // columns))
    figure = new_figure(max(1.75 * columns, 4), 0.6 + 2.1 * rows)
    grid: Any = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1, 0.3] * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, i in enumerate(chosen):
        row, column = divmod(number, columns)
        top, bottom = grid[2 * row, column], grid[2 * row + 1, column]
        show_image(top, images[i])
        said, truth = class_name(guesses[i], classes), class_name(labels[i], classes)
        long = len(said + truth) > 12
        between = "\n" if long else ", "
        top.set_title(
            f"{CROSS} {said}{between}is {truth}",
            fontsize=8.5 if long else 10, color=VERMILLION, pad=3, fontweight="bold",
        )  # fmt: skip
        shares = scores[i, [labels[i], guesses[i]]]
        bottom.barh([0, 1], shares, color=[BLUE, VERMILLION], height=0.75)
        bottom.barh([0, 1], [1, 1], color="#EEEEEE", height=0.75, zorder=0)
        for y, (name, share) in enumerate(zip((truth, said), shares, strict=True)):
            bottom.text(-0.04, y, name, ha="right", va="center", fontsize=8, color=INK)
            bottom.text(1.04, y, f"{share:.0%}", ha="left", va="center", fontsize=8, color=INK)
        bottom.set_xlim(-0.25, 1.3)
    if not len(chosen):
        grid[0, 0].text(0.5, 0.5, "no mistakes", color=GREY, ha="center", va="center")
    figure.suptitle(
        f"The {len(chosen)} surest of {len(wrong):,} mistakes among {len(labels):,} images", **TITLE
    )
    return figure


def _checked(labels: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    labels, predicted = np.asarray(labels).reshape(-1), np.asarray(predicted)
    if len(labels) != len(predicted) or not len(labels):
        raise ValueError(
            f"Expected a prediction for each label, received {len(labels)} labels and "
            f"{len(predicted)} predictions."
        )
    return labels.astype(int), predicted
