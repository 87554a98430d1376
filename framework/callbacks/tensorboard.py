"""`TensorBoard`: the course of a training for the tool of that name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..config.checked import Count, Natural
from .base import Callback, Logs
from .events import EventFile


class TensorBoard(Callback):
    """Write event files for TensorBoard: ``tensorboard --logdir logs``. Tags are Keras's.

    Scalars go to ``train`` and ``validation`` below `log_dir`: ``epoch_loss`` and so on, the
    learning rate, and ``evaluation_loss_vs_iterations``. The files are written without TensorFlow.

    Args:
        log_dir: the folder.
        histogram_freq: epochs between two histograms of every weight; 0 for none.
        write_graph: accepted; `Model.summary` and ``gt.plot.architecture`` show the model.
        write_images: whether every weight is a picture, too, whenever it is a histogram.
        write_steps_per_second: whether to write how many batches were done in a second.
        update_freq: ``"epoch"``, ``"batch"``, or the batches between two scalars ``batch_loss``.
        profile_batch, embeddings_freq, embeddings_metadata: not covered: 0 and None only.

    Raises:
        ValueError: settings that are not covered.
        OSError: the files cannot be written.
    """

    remembered = ("_batches",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: Natural = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Count | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: Natural = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("profile_batch", profile_batch),
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
        ):
            if value:
                raise ValueError(
                    f"TensorBoard does not write profiles or embeddings: leave {name} at its "
                    f"default, received {value!r}."
                )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq or 0
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        if isinstance(self.update_freq, str) and self.update_freq != "epoch":
            raise ValueError(
                "TensorBoard: update_freq must be 'epoch', 'batch' or a number of batches, "
                f"received {update_freq!r}."
            )
        self._files: dict[str, EventFile] = {}
        self._batches = 0
        self._fitting = False

    def _file(self, run: str) -> EventFile:
        if run not in self._files:
            self._files[run] = EventFile(Path(self.log_dir) / run)
        return self._files[run]

    def _scalars(self, run: str, template: str, logs: Logs, step: int) -> None:
        file = self._file(run)
        for name, value in logs.items():
            if np.ndim(value) == 0:
                file.scalar(template.format(name), float(value), step)
        file.flush()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._batches = 0
        self._fitting = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._fitting = False
        for file in self._files.values():
            file.close()
        self._files = {}

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.write_steps_per_second:
            rate = 1 / max(time.perf_counter() - self._batch_began, 1e-9)
            self._file("train").scalar("batch_steps_per_second", rate, self._batches)
        if self.update_freq != "epoch" and batch % self.update_freq == 0:
            self._scalars("train", "batch_{}", logs or {}, self._batches)
        self._batches += 1

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_began = time.perf_counter(), self.model.optimizer.iterations

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        optimizer = self.model.optimizer
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        train["learning_rate"] = float(optimizer.learning_rate)
        if self.write_steps_per_second:
            began, steps = self._epoch_began
            seconds = max(time.perf_counter() - began, 1e-9)
            train["steps_per_second"] = (optimizer.iterations - steps) / seconds
        self._scalars("train", "epoch_{}", train, epoch)
        held_out = {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}
        if held_out:
            self._scalars("validation", "epoch_{}", held_out, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._weights(epoch)

    def _weights(self, epoch: int) -> None:
        file = self._file("train")
        for variable in self.model.weights:
            file.histogram(f"{variable.path}/histogram", variable.data, epoch)
            if self.write_images:
                file.image(f"{variable.path}/image", _picture(variable.data), epoch)
        file.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None:
            template = "evaluation_{}_vs_iterations"
            self._scalars("validation", template, logs or {}, optimizer.iterations)
        if not self._fitting:
            self.on_train_end()


def _picture(values: np.ndarray) -> np.ndarray:
    """A weight as one grey picture: its last axis to the right, all others downwards."""
    rows = np.atleast_1d(values).reshape(-1, np.atleast_1d(values).shape[-1])
    low, high = rows.min(), rows.max()
    return (255 * (rows - low) / (high - low or 1)).astype(np.uint8)
