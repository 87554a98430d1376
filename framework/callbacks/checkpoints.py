"""Callbacks that save a model while it trains: the best of it, or all that a restart needs."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from ..config.checked import Count, Verbosity
from ..config.writing import sweep
from ..errors import FileError
from ..saving import archive
from ..saving.foreign import refuse_suffix
from .base import Callback, Logs, nothing
from .monitoring import Monitor
from .resuming import restore, state_of

FilePath = str | os.PathLike[str]


class _Saver(Callback, ABC):
    """Saves after every epoch, or after so many batches.

    Args:
        save_freq: ``"epoch"``, or a number of batches.
    """

    remembered: tuple[str, ...] = ("_seen", "_last")

    def _save_every(self, save_freq: int | str) -> None:
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ValueError(
                f"{type(self).__name__} needs save_freq='epoch' or a number of batches, received "
                f"{save_freq!r}."
            )
        self.save_freq: Any = save_freq
        if save_freq == "epoch" and type(self).on_train_batch_end is _Saver.on_train_batch_end:
            # Nobody looks on between batches then, and training is faster.
            vars(self)["on_train_batch_end"] = nothing
        self._seen = 0  # batches since it last saved
        self._last = -1
        self._epoch = 0

    @abstractmethod
    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save; `batch` is the last one done, None at the end of the epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch":
            self._seen += batch - self._last if batch > self._last else batch + 1
            self._last = batch
            if self._seen >= self.save_freq:
                self._seen = 0
                self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})


class ModelCheckpoint(_Saver, Monitor):
    """Save the model, or its weights, after every epoch or every so many batches.

    Args:
        filepath: of the file, as for `Model.save`. It may name values to be filled in, as in
            ``"{epoch:02d}-{val_loss:.2f}.npz"``: ``epoch`` and ``batch`` from 1, and whatever is in
            the logs. Folders that are missing are made.
        monitor: with `save_best_only`, the value that has to improve.
        verbose: 1 prints a line for each file.
        save_best_only: whether to save only when `monitor` is better than ever.
        save_weights_only: whether to write `Model.save_weights` rather than `Model.save`.
        mode: see `EarlyStopping`.
        save_freq: ``"epoch"``, or a number of batches.
        initial_value_threshold: with `save_best_only`, the value to beat from the start.

    Raises:
        ValueError: settings that make no sense, or the suffix of another format.
        KeyError: `filepath` names a value that is not in the logs.
    """

    remembered = (*_Saver.remembered, "best")

    def __init__(
        self,
        filepath: FilePath,
        monitor: str = "val_loss",
        verbose: Verbosity = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Count | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        refuse_suffix(re.sub(r"\{.*?\}", "0", self.filepath))
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.best = initial_value_threshold
        self._save_every(save_freq)

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        counts = {"epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            path = self.filepath.format(**{**counts, **logs})
        except (KeyError, IndexError) as error:
            raise KeyError(
                f"ModelCheckpoint cannot fill in filepath {self.filepath!r}: there is no {error}. "
                f"Known: {', '.join([*counts, *logs])}."
            ) from None
        if self.save_best_only and not self._is_best(logs, epoch + 1):
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {counts['epoch']}: saved {path}")

    def _is_best(self, logs: Logs, epoch: int) -> bool:
        """Whether to save; also, as in Keras, when nobody can tell."""
        value = self.watched(logs)
        if value is None:
            return True
        if np.ndim(value):
            self.warn_once(
                f"ModelCheckpoint cannot tell which {self.monitor!r} is best, which is an array of "
                f"shape {np.shape(value)}: every one is saved."
            )
            return True
        if not self.improved(value, self.best):
            if self.verbose:
                print(f"Epoch {epoch}: {self.monitor} did not improve from {self.best:g}")
            return False
        self.best = value
        return True


class BackupAndRestore(_Saver):
    """Write down all that `fit` needs to go on after a crash, and go on from there.

    A second call of the same `fit`, in a new process if need be, starts where the last backup was
    made, also in the middle of an epoch, and gives the same numbers as if nothing had happened:
    weights, optimizer, metrics, random states, the order of the batches, the `History`, and what
    the other callbacks remember (see `Callback.remembered` for your own). The model, the data and
    the callbacks have to be made in the same way. A process may be killed at any time: there is
    always a whole backup.

    Args:
        backup_dir: a folder for the backup alone.
        save_freq: ``"epoch"``, or a number of batches.
        double_checkpoint: whether to keep the last backup but one, for the case that the last is
            damaged.
        delete_checkpoint: whether to delete `backup_dir` when `fit` is done.

    Raises:
        ValueError: settings that make no sense; in `fit`, a backup of another model.
    """

    comes_last = True  # what the others have done is in the backup

    def __init__(
        self,
        backup_dir: FilePath,
        save_freq: Count | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not os.fspath(backup_dir):
            raise ValueError("BackupAndRestore needs a folder, received an empty backup_dir.")
        self.backup_dir = os.fspath(backup_dir)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._latest = Path(self.backup_dir) / "latest.npz"
        self._previous = Path(self.backup_dir) / "previous.npz"
        self._save_every(save_freq)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        for path in (self._latest, self._previous):
            sweep(path)
        # A link to nowhere is no missing backup, which would start the training from nothing.
        candidates = [p for p in (self._latest, self._previous) if os.path.lexists(p)]
        for path in candidates:
            try:
                with archive.opened(path) as file:
                    arrays = {k: file.array(k) for k in file.headers}
                    config = file.config
            except (FileError, OSError):
                if path is candidates[-1]:
                    raise
                continue
            restore(self.model, config, arrays, os.fspath(path))
            return

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        self._latest.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._latest.exists():
            os.replace(self._latest, self._previous)
        position = (epoch + 1, 0) if batch is None else (epoch, batch + 1)
        archive.write(self._latest, *state_of(self.model, *position))

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            import shutil  # slow to import

            shutil.rmtree(self.backup_dir, ignore_errors=True)
