"""Callbacks: what happens beside training. Hooks, names and defaults are Keras 3's.

`LivePlot` needs Matplotlib, the extra ``plot``. Keras's ``RemoteMonitor`` is left out on purpose:
nothing here opens a connection.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .averaging import SwapEMAWeights
from .base import HOOKS, Callback, CallbackList, History, LambdaCallback
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .monitoring import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from .rates import LearningRateFinder, LearningRateScheduler
from .records import CSVLogger, ProgbarLogger
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


def __getattr__(name: str) -> Any:
    """`LivePlot`, which draws, comes from the room that may import Matplotlib (PEP 562)."""
    if name == "LivePlot":
        return import_module("..plot", __name__).LivePlot
    raise AttributeError(f"module 'gradtape.callbacks' has no attribute {name!r}")
