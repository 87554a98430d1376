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
from .autograd.anomaly import detect_anomaly
from .autograd.checkpoint import checkpoint
from .autograd.functional import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from .autograd.gradient_tape import GradientTape
from .autograd.registry import composite, op
from .autograd.tape import enable_grad, is_grad_enabled, no_grad
from .autograd.tensor import Tensor, as_tensor, tensor
from .autograd.variable import Variable
from .config.exports import exporting
from .config.moved import remember
from .initializers import Initializer
from .inspection.analysis import analysis
from .layers import Input, InputSpec, Layer
from .losses import Loss
from .metrics import Metric
from .model.cloning import clone_model
from .model.model import Model
from .model.sequential import Sequential
from .optimizers import Optimizer
from .proof.gradcheck import GradientError, gradcheck
from .regularizers import Regularizer
from .samples import Sample
from .saving import load_model

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import models as models
    from . import plot as plot
    from . import utils
    from .proof.proof import prove

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
    _later = {"datasets": "", "models": "", "plot": "", "utils": "", "prove": ".proof.proof"}
    __getattr__, __dir__ = exporting(__name__, __all__, later=_later)

remember(__name__)
