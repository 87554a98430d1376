"""Pictures of a training while it runs: a live plot, and the search for a learning rate."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from ..callbacks import Callback, LearningRateFinder
from .style import BLUE, GREY, TITLE, VERMILLION, Figure, Picture, new_figure
from .training import learning_curves

Logs = dict[str, Any]


class LivePlot(Callback):
    """Draw the learning curves after each epoch: in a notebook in place, elsewhere to a file.

    Args:
        filepath: of a picture that is written anew each time, or None.
        every: epochs between two pictures.

    Attributes:
        figure: the last picture; None before the first.
        history: what it shows: lists by name.

    Raises:
        ValueError: `every` is below 1.
        OSError: the picture cannot be written.
    """

    remembered = ("history",)

    def __init__(self, filepath: str | os.PathLike[str] | None = None, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"LivePlot needs every >= 1, received {every}.")
        self.filepath = filepath
        self.every = every
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.figure: Figure | None = None
        self.history: dict[str, list[float]] = {}
        self._shown: Any = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self._epochs % self.every == 0:
            self._draw()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.history and self._epochs % self.every:
            self._draw()

    @property
    def _epochs(self) -> int:
        return len(next(iter(self.history.values()), ()))

    def _draw(self) -> None:
        if isinstance(self.figure, Picture):
            self.figure.close_window()  # one window is enough
        self.figure = learning_curves(self.history)
        if self.filepath is not None:
            self.figure.savefig(self.filepath)
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if shell is None:
            return
        display = sys.modules["IPython"].display.display
        if self._shown is None:
            self._shown = display(self.figure, display_id=True)
        else:
            self._shown.update(self.figure)


def learning_rates(finder: LearningRateFinder) -> Figure:
    """The loss by learning rate, as a `LearningRateFinder` saw it, with what it suggests.

    Args:
        finder: after its `fit`.

    Raises:
        ValueError: it has seen no batch.
    """
    if not finder.losses:
        raise ValueError("This LearningRateFinder has seen no batch: pass it to fit() first.")
    figure = new_figure(6, 3.8)
    axes = figure.subplots()
    axes.plot(finder.learning_rates, finder.losses, ".", color=GREY, markersize=3, label="batches")
    axes.plot(finder.learning_rates, finder.smoothed, color=BLUE, linewidth=2, label="smoothed")
    try:
        rate = finder.suggestion
    except ValueError:  # nothing to suggest: the curve says why
        rate = None
    if rate is not None:
        axes.axvline(rate, color=VERMILLION, linestyle="--", label=f"suggested: {rate:.1e}")
    axes.set_xscale("log")
    low, high = min(finder.smoothed), finder.smoothed[0]
    room = max(high - low, 1e-12)
    axes.set_ylim(low - 0.1 * room, high + min(room, float(np.ptp(finder.smoothed))))
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Loss")
    axes.set_title("Learning rate search", loc="left", **TITLE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
