"""gradtape: a readable, proven and fast autograd micro-framework with a Keras-like API."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from . import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    saving,
    utils,
)
from .analysis import analysis
from .anomaly import detect_anomaly
from .checkpoint import checkpoint
from .cloning import clone_model
from .functional import grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from .gradcheck import GradientError, gradcheck
from .gradient_tape import GradientTape
from .initializers import Initializer
from .interrupts import deferred
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .model import Model
from .optimizers import Optimizer
from .proof import prove
from .registry import composite, op
from .regularizers import Regularizer
from .samples import Sample
from .saving import load_model
from .sequential import Sequential
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, as_tensor, tensor
from .variable import Variable

__version__ = "0.1.0"

#: Rooms that are users of the package themselves, or need an extra: imported on first use.
_LATER = ("datasets", "models", "plot")


def __getattr__(name: str) -> Any:
    """``gt.models``, ``gt.datasets`` and ``gt.plot``, imported when first asked for (PEP 562)."""
    if name in _LATER:
        with deferred():
            return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'gradtape' has no attribute {name!r}")


__all__ = [
    "GradientError",
    "GradientTape",
    "Initializer",
    "Input",
    "InputSpec",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sample",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "analysis",
    "as_tensor",
    "callbacks",
    "checkpoint",
    "clone_model",
    "composite",
    "constraints",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "initializers",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "no_grad",
    "op",
    "ops",
    "optimizers",
    "prove",
    "regularizers",
    "saving",
    "stop_gradient",
    "tensor",
    "utils",
    "value_and_grad",
    "vjp",
]
