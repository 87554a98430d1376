"""gradtape: a readable, checked and fast autograd micro-framework with a Keras-like API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    saving,
)
from .analysis import analysis
from .anomaly import detect_anomaly
from .checkpoint import checkpoint
from .cloning import clone_model
from .exports import exporting
from .functional import grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp
from .gradcheck import GradientError, gradcheck
from .gradient_tape import GradientTape
from .initializers import Initializer
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .model import Model
from .optimizers import Optimizer
from .registry import composite, op
from .regularizers import Regularizer
from .samples import Sample
from .saving import load_model
from .sequential import Sequential
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, as_tensor, tensor
from .variable import Variable

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import models as models
    from . import plot as plot
    from . import utils
    from .proof import prove

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
    "config",
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

if not TYPE_CHECKING:  # so that types know every name
    #: What is slow to import, uses the package itself, or needs an extra.
    _later = {"datasets": "", "models": "", "plot": "", "utils": "", "prove": ".proof"}
    __getattr__, __dir__ = exporting(__name__, __all__, later=_later)
