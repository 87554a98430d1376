"""What every metric is, and the running sum and mean that most of them are.

Metrics work on plain arrays; nothing here is taped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import initializers
from ..autograd.variable import Variable
from ..config.allowance import spend
from ..config.configured import Configured, said
from ..config.naming import snake_case
from ..config.owned import owned
from ..config.serialization import lookup, register
from ..config.tracebacks import filtered
from ..errors import ShapeError
from ..losses.base import Loss, aligned, array_of, match_ranks, number_name
from ..losses.wrapping import FORMS

Array = np.ndarray
Shape = tuple[int, ...]

_sum = np.add.reduce  # np.sum without its detours


class State:
    """An attribute of a metric that is one of its `variables`: a number, or an array of any shape.

    An array is given out as a copy, which later batches do not change.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, metric: Any, owner: type | None = None) -> Any:
        if metric is None:
            return self
        values = metric._states[self._name].data
        return values.copy() if values.ndim else values.item()

    def __set__(self, metric: Metric, value: Any) -> None:
        variable = metric._states.get(self._name)
        if variable is not None:
            fill(variable, value)
            return
        values, name = np.array(value, float), self._name.strip("_")
        path = f"{metric.name}/{name}"
        metric._states[self._name] = Variable.around(values, trainable=False, name=name, path=path)


def fill(variable: Variable, value: Any) -> None:
    """Put values into the state of a metric, which takes on their shape."""
    values = variable.data
    if values.shape == getattr(value, "shape", ()):
        values[...] = value  # every batch does so: not by way of `assign`, which takes far longer
    else:  # the first batch shows how many columns there are
        variable._set(np.array(value, variable.dtype))


class Metric(Configured, ABC):
    """Base of all metrics. A subclass defines `update_state` and `result`.

    State is made by `add_variable`, or is in the variables and metrics among the attributes and in
    their lists and dicts. `reset_state` sets all of it to zero; a subclass that keeps its state
    otherwise defines its own `reset_state`.

    Args:
        dtype: what the state is kept in, ``"float32"`` by default. Metrics of the package count in
            float64, whatever it says.
        name: the key in the logs. Default: the class's name in snake case.

    Attributes:
        direction: ``"up"`` if more is better, ``"down"`` if less is, None if that is not known.
    """

    direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self._dtype = None if dtype is None else number_name(dtype, "a metric")
        self._variables: list[Variable] = []
        self._states: dict[str, Variable] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def dtype(self) -> str:
        return self._dtype or "float32"

    @property
    def variables(self) -> list[Variable]:
        """The state: of this metric, then of the metrics in its attributes."""
        return [*owned(self, Variable), *(v for m in owned(self, Metric) for v in m.variables)]

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        aggregation: str | None = "sum",
        name: str | None = None,
    ) -> Variable:
        """A state of this metric.

        Args:
            shape: of the array.
            initializer: a name or an `Initializer`; None: zeros.
            dtype: default: that of the metric.
            aggregation: accepted for Keras's sake; there is one process.
            name: of the variable.
        """
        spend(16 * math.prod(shape), f"a state of shape {tuple(shape)}")
        initial = initializers.get(initializer or "zeros")(tuple(shape))
        variable = Variable(initial, dtype or self.dtype, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """`add_variable`, a single number by default."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @abstractmethod
    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch."""

    @abstractmethod
    def result(self) -> Any:
        """The value over everything since `reset_state`: a number, an array, or a dict of them."""

    def reset_state(self) -> None:
        """Forget every batch."""
        for variable in owned(self, Variable):
            variable[...] = 0
        for metric in owned(self, Metric):
            metric.reset_state()

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch and return the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this metric again."""
        config: dict[str, Any] = {"name": self.name}
        if self._dtype is not None:
            config["dtype"] = self._dtype
        return config | said(self, Metric)


@register("metrics")
class Mean(Metric):
    """The weighted mean of values. What has more than one axis counts with its mean per sample."""

    total, count = State(), State()

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of shape (N, ...) or a single one, with weights of their first axes.

        Raises:
            ShapeError: the weights do not fit the values.
        """
        values = array_of(values)
        if values.dtype.kind not in "biuf":
            raise TypeError(f"The metric {self.name!r} is of numbers, received {values!r}.")
        if sample_weight is None:
            count = len(values) if values.ndim else 1
            if values.size:  # each sample counts with the mean of its own values
                total = np.count_nonzero(values) if values.dtype == bool else _total(values)
                self.add(total * count / values.size, count)
            return
        values, weights = _with_weights(values, sample_weight, np.mean, self.name)
        self.add(_total(_after(values * weights, 1, np.mean)), _total(_after(weights, 1, np.mean)))

    def add(self, total: float, count: float) -> None:
        """Add a sum of values, and of how many."""
        sums, counts = self._states["total"].data, self._states["count"].data
        sums += total
        counts += count

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = self.count = 0.0


@register("metrics")
class Sum(Metric):
    """The weighted sum of values."""

    total = State()

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of shape (N, ...) or a single one, with weights of their first axes.

        Raises:
            ShapeError: the weights do not fit the values.
        """
        values = array_of(values)
        if sample_weight is not None:
            values, weights = _with_weights(values, sample_weight, np.sum, self.name)
            values = values * weights
        self.total += _total(values)

    def result(self) -> float:
        return self.total

    def reset_state(self) -> None:
        self.total = 0.0


def _total(values: Array) -> float:
    return float(_sum(values, axis=None, dtype=np.float64))


def _after(values: Array, axes: int, reduce: Callable[..., Any]) -> Array:
    """Values reduced over all axes but the first few."""
    return reduce(values, axis=tuple(range(axes, values.ndim))) if values.ndim > axes else values


def _with_weights(
    values: Array, sample_weight: Any, reduce: Callable[..., Any], name: str
) -> tuple[Array, Array]:
    """Values reduced to the axes that their weights have, and a weight for each of these."""
    values, weights = match_ranks(values, array_of(sample_weight).astype(np.float64))
    axes = weights.ndim
    values, weights = aligned(values, weights, f"{name}: ")
    values = _after(values, axes, reduce).astype(np.float64)
    return values, np.broadcast_to(weights.reshape(weights.shape[: values.ndim]), values.shape)


@register("metrics")
class MeanMetricWrapper(Mean):
    """The mean of what ``fn(y_true, y_pred, **kwargs)`` says of each sample."""

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        own = fn.name if isinstance(fn, Loss) else getattr(fn, "__name__", type(fn).__name__)
        super().__init__(name or own, dtype)
        self._fn = fn
        self._arguments = kwargs
        if self.direction is None and (isinstance(fn, Loss) or fn in FORMS):
            self.direction = "down"

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch: targets and predictions of shape (N, ...), and a weight for each sample."""
        values = self._fn(array_of(y_true), array_of(y_pred), **self._arguments)
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": self._fn, **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        fn = config.get("fn")
        return cls(**({**config, "fn": lookup(fn, "metric")} if isinstance(fn, str) else config))


def same_shape(name: str, y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    """Both as arrays of one shape, where a last axis of 1 may be missing.

    Raises:
        ShapeError: they have different shapes.
    """
    y_true, y_pred = array_of(y_true), array_of(y_pred)
    if y_true.shape != y_pred.shape:
        true, predicted = y_true.shape, y_pred.shape
        y_true, y_pred = match_ranks(y_true, y_pred)
        if y_true.shape != y_pred.shape:
            raise ShapeError(
                f"{name} compares arrays of one shape, received targets {true} and predictions "
                f"{predicted}.{_fix(true, predicted)}"
            )
    return y_true, y_pred


def _fix(true: Shape, predicted: Shape) -> str:
    """The likely fix for targets of another shape."""
    if true in (predicted[:-1], (*predicted[:-1], 1)):
        return (
            " The targets look like class numbers: use a sparse metric, or "
            f"gt.utils.to_categorical(y, {predicted[-1]})."
        )
    if predicted in (true[:-1], (*true[:-1], 1)):
        return " The targets look like one-hot rows: use y.argmax(axis=-1)."
    return ""
