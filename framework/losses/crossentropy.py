"""Losses of predicted probabilities, or their logits, against classes.

Probabilities are kept 1e-7 away from 0 and 1 before their logarithm is taken; those of several
classes are divided by their sum first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, as_tensor
from ..config.checked import SOME, Inner, NotNegative, Share
from ..config.serialization import register
from ..config.tracebacks import warn
from ..errors import ShapeError
from ..ops.stateful import share_cross_entropy, share_of, sparse_share_cross_entropy
from .base import EPSILON, Array, Loss, Shape, array_of, by_shape
from .checks import labels, one_hot, yes_or_no
from .wrapping import FunctionLoss, loss_function


def _kept(probabilities: Tensor) -> Tensor:
    return ops.clip(probabilities, EPSILON, 1 - EPSILON)


def _smoothed(y_true: Tensor, smoothing: float, classes: int) -> Tensor:
    """Targets of which a part is spread evenly over the classes (Szegedy et al., 2016, sec. 7)."""
    return y_true * (1.0 - smoothing) + smoothing / classes if smoothing else y_true


@loss_function(one_hot)
def categorical_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: Share = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(y_true log(y_pred)) over the classes. Settings: see `CategoricalCrossentropy`."""
    y_true = _smoothed(y_true, label_smoothing, y_true.shape[axis])
    if axis not in (-1, y_pred.ndim - 1):
        y_true, y_pred = ops.moveaxis(y_true, axis, -1), ops.moveaxis(y_pred, axis, -1)
    if from_logits:
        return ops.softmax_cross_entropy(y_pred, y_true)
    return share_cross_entropy(y_pred, y_true, least=EPSILON)


def _along(factors: Any, p: Tensor, axis: int) -> Tensor:
    """A factor, or one for each class, so that it broadcasts to where the classes are."""
    factors = as_tensor(factors, p.dtype)
    if factors.ndim != 1:
        return factors
    if len(factors) not in (1, p.shape[axis]):
        raise ShapeError(
            f"categorical_focal_crossentropy expects alpha as one factor, or one for each of the "
            f"{p.shape[axis]} classes (axis {axis}); received {len(factors)}."
        )
    shape = [1] * p.ndim
    shape[axis] = len(factors)
    return factors.reshape(shape)


@loss_function(one_hot)
def categorical_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    alpha: NotNegative | Annotated[Sequence[NotNegative], SOME] = 0.25,
    gamma: NotNegative = 2.0,
    from_logits: bool = False,
    label_smoothing: Share = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(alpha (1 - p)^gamma y_true log(p)). Settings: see `CategoricalFocalCrossentropy`."""
    y_true = _smoothed(y_true, label_smoothing, y_true.shape[axis])
    p = share_of(ops.softmax(y_pred, axis=axis) if from_logits else y_pred, EPSILON, axis)
    weight = _along(alpha, p, axis) * (1.0 - p) ** gamma
    return -ops.sum(weight * y_true * ops.log(p), axis=axis)


def _counted(y_true: Tensor, values: Tensor, settings: dict[str, Any]) -> Array | None:
    ignored = settings.get("ignore_class")
    return None if ignored is None else y_true.data != ignored


@loss_function(labels, takes_labels=True, mask=_counted)
def sparse_categorical_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log(y_pred[label]). Settings: see `SparseCategoricalCrossentropy`."""
    if axis not in (-1, y_pred.ndim - 1):
        y_pred = ops.moveaxis(y_pred, axis, -1)
    classes = y_true.reshape(y_pred.shape[:-1])
    counted = None if ignore_class is None else classes != ignore_class
    if counted is not None:
        classes = ops.where(counted, classes, 0)
    if from_logits:
        values = ops.sparse_softmax_cross_entropy(y_pred, classes)
    else:
        values = sparse_share_cross_entropy(y_pred, classes, least=EPSILON)
    return values if counted is None else ops.where(counted, values, 0.0)


@loss_function(labels, takes_labels=True)
def categorical_generalized_cross_entropy(y_true: Tensor, y_pred: Tensor, q: Inner) -> Tensor:
    """(1 - y_pred[label]^q) / q, for class numbers.

    Zhang and Sabuncu, "Generalized Cross Entropy Loss for Noisy Labels", 2018, equation 6.
    """
    classes = y_true.reshape((*y_pred.shape[:-1], 1))
    chosen = ops.take_along_axis(y_pred, classes, axis=-1).reshape(y_pred.shape[:-1])
    return (1.0 - chosen**q) / q


def _binary_logs(y_true: Tensor, y_pred: Tensor) -> Tensor:
    p = _kept(y_pred)
    return -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))


@loss_function(yes_or_no)
def binary_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: Share = 0.0,
    axis: int = -1,
) -> Tensor:
    """-(y log(p) + (1 - y) log(1 - p)), a mean. Settings: see `BinaryCrossentropy`."""
    y_true = _smoothed(y_true, label_smoothing, 2)
    logs = (
        ops.sigmoid_cross_entropy(y_pred, y_true) if from_logits else _binary_logs(y_true, y_pred)
    )
    return ops.mean(logs, axis=axis)


@loss_function(yes_or_no)
def binary_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    apply_class_balancing: bool = False,
    alpha: Share = 0.25,
    gamma: NotNegative = 2.0,
    from_logits: bool = False,
    label_smoothing: Share = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times (1 - p_t)^gamma. Settings: see `BinaryFocalCrossentropy`."""
    y_true = _smoothed(y_true, label_smoothing, 2)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    rest = ops.sigmoid(-y_pred) if from_logits else 1.0 - y_pred
    missed = y_true * rest + (1.0 - y_true) * p
    values = missed**gamma * _binary_logs(y_true, p)
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


class _Crossentropy(FunctionLoss):
    """What the cross-entropies share: they warn of logits for probabilities, and the reverse."""

    activation: ClassVar[str] = "softmax"  # what turns logits into the probabilities it expects
    from_logits: bool
    axis: int

    def check_predictions(self, y_pred: Array, output: str = "the predictions") -> None:
        name, is_softmax = type(self).__name__, self.activation == "softmax"
        low, high = float(np.min(y_pred)), float(np.max(y_pred))
        if not self.from_logits and (low < 0 or high > 1 + 1e-3):
            warn(
                f"{name} expects probabilities, but {output} range from {low:.3g} to {high:.3g}. "
                f"Use {name}(from_logits=True), or end the model with a {self.activation}."
            )
        classes = y_pred.shape[self.axis]
        looks_done = (
            is_softmax
            and classes > 1
            and low >= 0
            and np.allclose(y_pred.sum(axis=self.axis), 1, atol=1e-3)
        )
        if self.from_logits and looks_done:
            warn(
                f"{name}(from_logits=True) takes the softmax itself, but {output} look like "
                "probabilities already. Leave out the model's softmax, or from_logits=True."
            )
        if name.startswith("Categorical") and classes == 1:
            warn(
                f"{name} of one class is always 0, but {output} has shape {y_pred.shape}. For two "
                "classes use BinaryCrossentropy."
            )


@register("losses")
class CategoricalCrossentropy(_Crossentropy, of=categorical_crossentropy):
    """-sum(y_true log(y_pred)) over the classes, for one-hot (or soft) targets.

    Args:
        from_logits: `y_pred` are logits rather than probabilities.
        label_smoothing: how much of each target is spread evenly over all classes, 0 to 1
            (Szegedy et al., 2016, section 7).
        axis: where the classes are.
        reduction, name, dtype: as for `Loss`.
    """


@register("losses")
class CategoricalFocalCrossentropy(_Crossentropy, of=categorical_focal_crossentropy):
    """`CategoricalCrossentropy` that counts classes less the surer the prediction is.

    Args:
        alpha: a factor, or one for each class.
        gamma: how much less: a class counts (1 - p)^gamma (Lin et al., 2017, "Focal Loss").
        from_logits, label_smoothing, axis: as for `CategoricalCrossentropy`.
        reduction, name, dtype: as for `Loss`.
    """


@register("losses")
class SparseCategoricalCrossentropy(
    _Crossentropy,
    of=sparse_categorical_crossentropy,
    arguments=("from_logits", "ignore_class", "reduction", "axis", "name", "dtype"),
):
    """-log(y_pred[label]), for targets that are class numbers.

    Args:
        from_logits: `y_pred` are logits rather than probabilities.
        ignore_class: a label that does not count, as 255 for pixels at the edge of an object. Means
            are over the others.
        reduction, name, dtype: as for `Loss`.
        axis: where the classes are.

    Targets are whole numbers of shape (N, ...) or (N, ..., 1), predictions (N, ..., classes).
    """


@register("losses")
class BinaryCrossentropy(_Crossentropy, of=binary_crossentropy):
    """-(y log(p) + (1 - y) log(1 - p)), the mean over an axis, for yes-or-no targets.

    Args:
        from_logits: `y_pred` are logits rather than probabilities.
        label_smoothing: how far targets are squeezed towards 0.5, 0 to 1.
        axis: what the mean of a sample is taken over.
        reduction, name, dtype: as for `Loss`.

    Targets lie in [0, 1] and have the shape of the predictions.
    """

    activation = "sigmoid"


@register("losses")
class BinaryFocalCrossentropy(_Crossentropy, of=binary_focal_crossentropy):
    """`BinaryCrossentropy` that counts answers less the surer they are.

    Args:
        apply_class_balancing: whether `alpha` counts.
        alpha: the weight of a target 1; that of a target 0 is 1 - alpha.
        gamma: an answer of which p is right counts (1 - p)^gamma (Lin et al., 2017).
        from_logits, label_smoothing, axis: as for `BinaryCrossentropy`.
        reduction, name, dtype: as for `Loss`.
    """

    activation = "sigmoid"


@register("losses")
class CategoricalGeneralizedCrossEntropy(
    FunctionLoss, of=categorical_generalized_cross_entropy, defaults={"q": 0.5}
):
    """(1 - y_pred[label]^q) / q, for class numbers some of which are wrong.

    Args:
        q: between cross-entropy (towards 0) and the mean absolute error (towards 1).
        reduction, name, dtype: as for `Loss`.
    """


class CrossentropyByShape(Loss):
    """What ``compile(loss="crossentropy")`` means before data shows what the targets are."""

    def chosen(self, true: Shape, predicted: Shape) -> Loss:
        """The cross-entropy for targets and predictions of these shapes."""
        choices = (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy)
        return by_shape(choices, true, predicted)(name=self.name)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.chosen(y_true.shape, y_pred.shape).call(y_true, y_pred)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        loss = self.chosen(np.shape(array_of(y_true)), y_pred.shape)
        return loss.compute(y_true, y_pred, sample_weight)

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        self.chosen(np.shape(array_of(y_true)), shape).check(y_true, shape, output)
