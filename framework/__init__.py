"""gradtape: a readable, proven and fast autograd micro-framework with a Keras-like API."""

from __future__ import annotations

from . import ops
from .gradcheck import GradientError, check_op, gradcheck
from .registry import composite, op
from .samples import Sample
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, as_tensor, tensor

__version__ = "0.1.0"

__all__ = [
    "GradientError",
    "Sample",
    "Tensor",
    "as_tensor",
    "check_op",
    "composite",
    "enable_grad",
    "gradcheck",
    "is_grad_enabled",
    "no_grad",
    "op",
    "ops",
    "tensor",
]
