"""What every loss is: a check of the targets, the values of the samples, and their reduction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, as_tensor
from ..config.configured import Configured, said
from ..config.naming import snake_case
from ..config.serialization import lookup
from ..config.tracebacks import filtered
from ..errors import ShapeError, unknown_name

Array = np.ndarray
Shape = tuple[int, ...]

#: How far logarithms and denominators are kept from 0.
EPSILON = 1e-7

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


def float_name(dtype: Any, what: str) -> str | None:
    """The name of a dtype to compute in; None stays None.

    Raises:
        TypeError: it is neither float32 nor float64.
    """
    if dtype is None:
        return None
    with contextlib.suppress(TypeError):
        if (name := number_name(dtype, what)) in ("float32", "float64"):
            return name
    raise TypeError(f"The dtype of {what} is 'float32' or 'float64', received {dtype!r}.")


def number_name(dtype: Any, what: str) -> str:
    """The name of a dtype of numbers.

    Raises:
        TypeError: it is none.
    """
    try:
        kind = np.dtype(dtype) if isinstance(dtype, (str, type, np.dtype)) else None
    except TypeError:
        kind = None
    if kind is None or kind.kind not in "biuf":
        raise TypeError(
            f"The dtype of {what} is one of numbers, as in 'float32', received {dtype!r}."
        )
    return kind.name


def floating(values: Any, dtype: Any = None) -> Tensor:
    """A float tensor of values: of this dtype, or (None) their own, or float32 for integers."""
    tensor = as_tensor(values)
    if dtype is None:
        return tensor if tensor.dtype.kind == "f" else tensor.astype(np.float32)
    return tensor if tensor.dtype == dtype else tensor.astype(dtype)


def by_shape(choices: tuple[Any, ...], true: Shape, predicted: Shape) -> Any:
    """Which of three fits: for yes-or-no targets, for class numbers, for a value of each class.

    Args:
        choices: the three.
        true, predicted: the shapes of targets and predictions.
    """
    if len(predicted) < 2 or predicted[-1] == 1:
        return choices[0]
    return choices[1 if len(true) < len(predicted) or true[-1] == 1 else 2]


def registered(name: str, kind: str, package: str, known: Iterable[str]) -> Any:
    """What a user registered under `name`, or the error that nobody did, with near matches."""
    try:
        return lookup(name, kind, package)
    except ValueError:
        raise unknown_name(kind, name, known) from None


class Loss(Configured):
    """Base of all losses. A subclass defines ``call(y_true, y_pred)``, the values of samples.

    One that defines ``__call__(y_true, y_pred, sample_weight=None)`` instead says all of it itself,
    the reduction included; `fit` and `evaluate` then call that.

    Args:
        name: what to call it. Default: the class's name in snake case.
        reduction: what becomes of the values of the samples: ``"sum_over_batch_size"`` or
            ``"mean"`` (their mean), ``"sum"``, ``"mean_with_sample_weight"`` (their sum over the
            sum of the weights), ``"none"`` or None (all of them).
        dtype: what to compute in, ``"float32"`` or ``"float64"``. Default: the dtype of the
            predictions, float32 if they are integers.

    Raises:
        ValueError: an unknown reduction.
        TypeError: another dtype, or a class that defines neither.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__call__" in vars(cls) and "compute" not in vars(cls):
            cls.compute = cls.__call__  # type: ignore[method-assign]

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        cls = type(self)
        if cls.call is Loss.call and cls.__call__ is Loss.__call__:
            raise TypeError(f"{cls.__name__} must define call(self, y_true, y_pred).")
        if reduction not in REDUCTIONS:
            raise unknown_name("reduction", reduction, [r for r in REDUCTIONS if r])
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self.dtype = float_name(dtype, "a loss")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per sample (or per pixel, time step...), in differentiable ops."""
        raise TypeError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    @filtered
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: targets, an array or tensor of shape (N, ...).
            y_pred: predictions, shape (N, ...), float32 or float64.
            sample_weight: a factor for each sample, shape (N,), or anything else that broadcasts
                to the values of `call`. A loss that is one number for the whole batch is weighted
                as a whole.

        Raises:
            ShapeError, TypeError, ValueError: targets that do not fit the predictions or the loss.
        """
        y_pred = as_tensor(y_pred)
        self.check(y_true, y_pred.shape)
        return self._reduced(y_true, y_pred, sample_weight)

    def compute(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """What calling the loss returns, for targets that `check` has already accepted."""
        return self._reduced(y_true, y_pred, sample_weight)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        y_pred = floating(y_pred, self.dtype)
        y_true = self._targets(y_true, y_pred.dtype)
        values = self.call(y_true, y_pred)
        if values is None:
            raise TypeError(f"The loss {self.name!r} returned None. Does it end in a return?")
        values = as_tensor(values)
        return reduce_values(values, sample_weight, self.reduction, self.mask(y_true, values))

    #: Whether targets are class numbers, rather than arrays like the predictions.
    takes_labels: bool = False

    def mask(self, y_true: Tensor, values: Tensor) -> Array | None:
        """Which of the values of `call` count, as booleans of their shape; None: all of them."""
        return None

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        """Refuse targets this loss cannot take. A loss of your own may leave it out.

        Args:
            y_true: targets of any number of samples.
            shape: the shape of the predictions for them.
            output: what the predictions are called in an error.
        """

    def check_predictions(self, y_pred: Array, output: str = "the predictions") -> None:
        """Warn of predictions that this loss would misread. May be left out, too."""

    def _targets(self, y_true: Any, dtype: Any) -> Tensor:
        """The targets as `call` takes them."""
        return as_tensor(y_true, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        if self.dtype is not None:
            config["dtype"] = self.dtype
        return config | said(self, Loss)


def reduce_values(
    values: Tensor, sample_weight: Any, reduction: str | None, mask: Array | None = None
) -> Tensor:
    """Values of samples, weighted, as one number (or, for ``"none"``, as they are).

    Args:
        values: what a loss says of each sample (or pixel...), shape (N, ...), or a single number.
        sample_weight: shape (N,), or one that broadcasts to the values; None: all count the same.
        reduction: one of `REDUCTIONS`.
        mask: which values count, booleans of their shape. Means are over these alone.

    Raises:
        ShapeError: the weights do not fit the values.
    """
    weights = None
    if sample_weight is not None:
        values, weights = aligned(values, as_tensor(sample_weight, values.dtype))
    if mask is not None:
        counted = mask.reshape(values.shape).astype(values.dtype)
        if reduction in ("mean", "sum_over_batch_size"):
            counted *= counted.size / max(float(counted.sum()), 1)
        weights = as_tensor(counted) if weights is None else weights * counted
    if weights is not None:
        values = values * weights
    if reduction in (None, "none") or not values.ndim:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        total = float(np.sum(weights.data))
        return ops.sum(values) * (1 / total if total else 0.0)
    return ops.mean(values)


def aligned(values: Any, weights: Any, who: str = "") -> tuple[Any, Any]:
    """Values and their weights, of ranks that broadcast: weights (N,) belong to the first axis.

    Args:
        values: shape (N, ...), arrays or tensors as the weights are.
        weights: shape (N, ...) with any axis 1, or without the last axes.
        who: whose values they are, for the error.

    Raises:
        ShapeError: the weights do not broadcast to the values.
    """
    if not values.ndim:
        return values, weights
    values, weights = match_ranks(values, weights)
    shape, given = values.shape, weights.shape
    for padded in (
        (*given, *[1] * (len(shape) - len(given))),
        (1,) * (len(shape) - len(given)) + given,
    ):
        if len(padded) == len(shape) and all(
            n in (1, m) for n, m in zip(padded, shape, strict=True)
        ):
            return values, weights if padded == given else weights.reshape(padded)
    raise ShapeError(
        f"{who}sample_weight of shape {given} does not fit values of shape {shape}: give one "
        f"weight per sample, shape {shape[:1]}."
    )
