"""Callbacks: what happens beside training. Hooks, names and defaults are Keras 3's.

`LivePlot` needs Matplotlib, the extra ``plot``. Keras's ``RemoteMonitor`` is left out on purpose:
nothing here opens a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.exports import exporting
from .averaging import SwapEMAWeights
from .base import HOOKS, Callback, CallbackList, History, LambdaCallback
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .monitoring import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from .rates import LearningRateFinder, LearningRateScheduler
from .records import CSVLogger, ProgbarLogger

if TYPE_CHECKING:
    from .tensorboard import TensorBoard

__all__ = [
    "HOOKS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateFinder",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(
        __name__, __all__, "callback", {"TensorBoard": ".tensorboard", "LivePlot": "..plot"}
    )
