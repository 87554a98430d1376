"""What every loss is: a check of the targets, the values of the samples, and their reduction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError, unknown_name
from ..naming import snake_case
from ..serialization import lookup, register
from ..tensor import Tensor, as_tensor

Array = np.ndarray
Shape = tuple[int, ...]

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def array_of(values: Any) -> Array:
    """The plain array of a tensor, an array or a list."""
    return values.data if isinstance(values, Tensor) else np.asarray(values)


def match_shapes(true: Shape, predicted: Shape) -> tuple[Shape, Shape]:
    """Two shapes with a last unit axis added or dropped where their ranks differ by that one."""
    if len(true) == len(predicted) + 1 and true[-1] == 1:
        return (true, (*predicted, 1)) if len(predicted) == 1 else (true[:-1], predicted)
    if len(predicted) == len(true) + 1 and predicted[-1] == 1:
        return ((*true, 1), predicted) if len(true) == 1 else (true, predicted[:-1])
    return true, predicted


def match_ranks(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Two arrays or tensors, reshaped as `match_shapes` says."""
    true, predicted = match_shapes(y_true.shape, y_pred.shape)
    if true != y_true.shape:
        y_true = y_true.reshape(true)
    if predicted != y_pred.shape:
        y_pred = y_pred.reshape(predicted)
    return y_true, y_pred


def registered(name: str, kind: str, package: str, known: Iterable[str]) -> Any:
    """What a user registered under `name`, or the error that nobody did, with near matches."""
    try:
        return lookup(name, kind, package)
    except ValueError:
        raise unknown_name(kind, name, known) from None


class Loss(ABC):
    """Base of all losses. A subclass defines ``call(y_true, y_pred)``.

    Args:
        name: what to call it. Default: the class's name in snake case.
        reduction: what becomes of the values of the samples: ``"sum_over_batch_size"`` or
            ``"mean"`` (their mean), ``"sum"``, ``"mean_with_sample_weight"`` (their sum over the
            sum of the weights), ``"none"`` or None (all of them).

    Raises:
        ValueError: an unknown reduction.
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size"):
        if reduction not in REDUCTIONS:
            raise unknown_name("reduction", reduction, [r for r in REDUCTIONS if r])
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per sample (or per pixel, time step...), in differentiable ops."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: targets, an array or tensor of shape (N, ...).
            y_pred: predictions, shape (N, ...), float32 or float64.
            sample_weight: a factor for each sample, shape (N,), or for each value of `call`.

        Raises:
            ShapeError, TypeError, ValueError: targets that do not fit the predictions or the loss.
        """
        y_pred = as_tensor(y_pred)
        self.check(y_true, y_pred.shape)
        return self.compute(y_true, y_pred, sample_weight)

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """What calling the loss returns, for targets that `check` has already accepted."""
        y_pred = as_tensor(y_pred)
        if y_pred.dtype.kind != "f":
            y_pred = y_pred.astype(np.float32)
        values = as_tensor(self.call(self._targets(y_true, y_pred.dtype), y_pred))
        return reduce_values(values, sample_weight, self.reduction)

    def check(  # noqa: B027
        self, y_true: Any, shape: Shape, output: str = "the predictions"
    ) -> None:
        """Refuse targets this loss cannot take. A loss of your own may leave it out.

        Args:
            y_true: targets of any number of samples.
            shape: the shape of the predictions for them.
            output: what the predictions are called in an error.
        """

    def check_predictions(  # noqa: B027
        self, y_pred: Array, output: str = "the predictions"
    ) -> None:
        """Warn of predictions that this loss would misread. May be left out, too."""

    def _targets(self, y_true: Any, dtype: Any) -> Tensor:
        return as_tensor(y_true, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """A loss from what `get_config` returned."""
        return cls(**config)


def reduce_values(values: Tensor, sample_weight: Any, reduction: str | None) -> Tensor:
    """Values of samples, weighted, as one number (or, for ``"none"``, as they are).

    Raises:
        ShapeError: the weights have neither the shape of the values nor of their first axes.
    """
    weights = None
    if sample_weight is not None:
        if not values.ndim:
            raise ShapeError(
                "sample_weight needs a loss that returns one value per sample, but this one "
                "returned a single number: leave the mean over the samples out of it."
            )
        values, weights = match_ranks(values, as_tensor(sample_weight, values.dtype))
        if weights.shape != values.shape[: weights.ndim]:
            raise ShapeError(
                f"sample_weight of shape {weights.shape} does not fit loss values of shape "
                f"{values.shape}: give one weight per sample, shape {values.shape[:1]}."
            )
        weights = weights.reshape((*weights.shape, *[1] * (values.ndim - weights.ndim)))
        values = values * weights
    if reduction in (None, "none") or not values.ndim:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        total = float(np.sum(weights.data))
        return ops.sum(values) * (1 / total if total else 0.0)
    return ops.mean(values)


@register("losses")
class LossFunctionWrapper(Loss):
    """A loss from a function ``fn(y_true, y_pred, **kwargs)`` of tensors to values of samples."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), reduction)
        self.fn = fn
        self._arguments = kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = match_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._arguments)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": self.fn, **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        fn = config["fn"]
        if isinstance(fn, str):
            fn = lookup(fn, "loss", "losses")
        return cls(**{**config, "fn": fn})


class SameShapeLoss(Loss):
    """A loss between arrays of one shape."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(name, reduction)

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        target = array_of(y_true)
        true, predicted = match_shapes(target.shape, shape)
        if true != predicted:
            raise ShapeError(
                f"{type(self).__name__} compares arrays of one shape: {output} has shape {shape}, "
                f"the targets have {target.shape}.{self._hint(target, shape)}"
            )

    def _hint(self, target: Array, shape: Shape) -> str:
        """The likely fix for targets of the wrong shape."""
        if len(target) != shape[0]:
            return " Targets and predictions must be of the same samples."
        return (
            " Give the last layer as many units as a target has values."
            if target.ndim == len(shape)
            else " Reshape the targets, or the output."
        )
