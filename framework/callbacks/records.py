"""Callbacks that write down or show how training goes."""

from __future__ import annotations

import os
from typing import Any, TextIO

import numpy as np

from ..config.settings import check_verbose
from .base import Callback, Logs
from .progress import Progress


class CSVLogger(Callback):
    """Write the logs of each epoch as a row of a CSV file: ``epoch``, then names in sorted order.

    Args:
        filename: of the file; its folder must exist.
        separator: between the values.
        append: whether to go on with a file that exists, rather than to overwrite it.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self._file: TextIO | None = None
        self._columns: list[str] = []
        self._written: int | None = None  # bytes that a backup knew of

    def get_state(self) -> dict[str, Any]:
        return {"columns": self._columns, "written": _size(self.filename)}

    def set_state(self, state: dict[str, Any]) -> None:
        self._columns, self._written = state["columns"], state["written"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._close()
        self._columns, self._written = [], None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._file is None:  # not before it is known whether a backup was restored
            known = self._written is not None and _size(self.filename) >= self._written
            if known:  # rows from after the backup come again
                os.truncate(self.filename, self._written or 0)
            self._file = open(  # noqa: SIM115 (it stays open until the training ends)
                self.filename, "a" if known or self.append else "w", newline="", encoding="utf-8"
            )
            self._header = not _size(self.filename)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        assert self._file is not None
        if not self._columns:
            names = sorted(logs)
            if not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names]  # a later epoch may be validated
            self._columns = ["epoch", *names]
        import csv  # slow to import

        writer = csv.DictWriter(
            self._file, self._columns, delimiter=self.sep, restval="NA", extrasaction="ignore"
        )
        if self._header:
            writer.writeheader()
            self._header = False
        writer.writerow({"epoch": epoch, **{k: _cell(v) for k, v in logs.items()}})
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value):
        return f'"[{", ".join(map(str, value))}]"'
    return value


class ProgbarLogger(Callback):
    """The display that `fit`, `evaluate` and `predict` show unless they are silent.

    They bring their own, so this is only for those who list it among the callbacks, as older
    scripts do; it then takes the place of theirs.
    """

    shows_progress = True

    def __init__(self) -> None:
        super().__init__()
        self._progress = Progress(0)
        self._fitting = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._progress = Progress(check_verbose(params.get("verbose", "auto")))

    def _begin(self, title: str) -> None:
        self._progress.begin(title, self.params.get("steps"))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._fitting = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self.params.get('epochs')}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._progress.step(lambda: logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._progress.end(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._fitting = False
        self._progress.close()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if self._fitting:
            self._progress.note("validating")
        else:
            self._begin("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._fitting:
            self._progress.step(lambda: logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._fitting:
            self._progress.end(logs or {})

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._progress.step(dict)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._progress.close()
