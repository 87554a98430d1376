"""Normalisation: batch, layer, group, and the local response normalisation of AlexNet."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import constraints, initializers, ops, regularizers
from ..autograd.tensor import Tensor, as_tensor, wrap
from ..autograd.tree import Shape
from ..config.checked import Axes, Count, Finite, Positive, Share, Where
from ..config.serialization import register
from ..ops.axes import axis_tuple
from ..ops.stateful import batch_norm_moved, batch_norm_moving
from .arguments import known_length
from .base import Layer
from .input_spec import InputSpec, LayerError
from .window import Window

#: How many groups; -1: as many as there are channels.
Groups = Annotated[int, Where("a positive integer or -1", lambda n: n >= 1 or n == -1)]


class ScaledLayer(Layer):
    """Base of the layers that end in ``gamma * x + beta``.

    Args:
        epsilon: added to the variance.
        center: whether to add beta.
        scale: whether to multiply by gamma.
        beta_initializer, gamma_initializer: of beta and gamma.
        beta_regularizer, gamma_regularizer: what they add to the loss.
        beta_constraint, gamma_constraint: what they are held to after each step.
    """

    casts_integers = True

    def __init__(
        self,
        epsilon: Positive = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def add_scale(self, shape: tuple[int, ...]) -> None:
        """Make gamma and beta."""
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


@register("layers")
class BatchNormalization(ScaledLayer):
    """Each channel to mean 0 and variance 1, then scaled and shifted (Ioffe & Szegedy, 2015).

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta

    While training, mean and variance are those of the batch (over all axes but that of the
    channels; the variance is the biased one), and the moving ones follow:
    ``moving = momentum * moving + (1 - momentum) * batch``. Otherwise the moving ones are used. A
    layer with ``trainable=False`` always uses, and never changes, its moving ones.

    Args:
        axis: of the channels.
        momentum: of the moving mean and variance.
        epsilon: added to the variance.
        center, scale: whether to add beta, and to multiply by gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer,
            moving_variance_initializer: of the weights, shape ``(C,)`` each.
        beta_regularizer, gamma_regularizer: what they add to the loss.
        beta_constraint, gamma_constraint: what they are held to after each step.

    Raises:
        ValueError: momentum outside [0, 1], or an epsilon that is not positive.
    """

    def __init__(
        self,
        axis: Axes = -1,
        momentum: Share = 0.99,
        epsilon: Positive = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"{self._where}: momentum must lie between 0 and 1, received {momentum!r}."
            )
        self.axis = _one_axis(axis, self._where)
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        channels = _length(input_shape, self.axis, self._where)
        self.add_scale((channels,))
        self.moving_mean = self.add_weight(
            (channels,), self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            (channels,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        """The normalised inputs.

        Args:
            mask: bools of the input's shape but for the channels; only elements where it holds
                count for the batch's mean and variance. With channels last.
        """
        settings = {"axis": self.axis, "epsilon": self.epsilon}
        if mask is not None and training and self.trainable and inputs.size:
            return self._masked(inputs, as_tensor(mask))
        given = (inputs, self.gamma, self.beta, self.moving_mean, self.moving_variance)
        if training and self.trainable and inputs.size:
            return batch_norm_moving(*given, **settings, momentum=self.momentum)
        return batch_norm_moved(*given, **settings)

    def _masked(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Normalised by the elements where a mask holds."""
        if self.axis not in (-1, inputs.ndim - 1) or mask.shape != inputs.shape[:-1]:
            raise LayerError(
                f"{self._where} takes a mask of the input's shape without the channels, which come "
                f"last; received an input {inputs.shape}, a mask {mask.shape}, axis={self.axis}."
            )
        held = wrap(mask.data.astype(bool)[..., None])
        others = tuple(range(inputs.ndim - 1))
        count = float(np.count_nonzero(held.data)) + 1e-7
        mean = ops.sum(ops.where(held, inputs, 0.0), axis=others) / count
        off = ops.where(held, inputs - mean, 0.0)
        variance = ops.sum(ops.square(off), axis=others) / count
        self._move(mean.data, variance.data)
        outputs = (inputs - mean) / ops.sqrt(variance + self.epsilon)
        outputs = outputs if self.gamma is None else outputs * self.gamma
        return outputs if self.beta is None else outputs + self.beta

    def _move(self, mean: np.ndarray, variance: np.ndarray) -> None:
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(self.momentum * moving.data + (1 - self.momentum) * new)


@register("layers")
class LayerNormalization(ScaledLayer):
    """Each sample to mean 0 and variance 1 along some axes, then scaled and shifted (Ba et al.,
    2016).

    Args:
        axis: one axis or several, along which mean and variance are taken.
        epsilon: added to the variance.
        center, scale: whether to add beta, and to multiply by gamma.
        beta_initializer, gamma_initializer: of the weights, which have the lengths of the axes.
        beta_regularizer, gamma_regularizer: what they add to the loss.
        beta_constraint, gamma_constraint: what they are held to after each step.
    """

    def __init__(
        self,
        axis: Axes = -1,
        epsilon: Positive = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        axes = axis_tuple(self.axis, len(input_shape))
        lengths = [known_length(input_shape, axis, "elements", self._where) for axis in axes]
        self.add_scale(tuple(lengths))
        self.input_spec = InputSpec(
            ndim=len(input_shape), axes=dict(zip(axes, lengths, strict=True))
        )

    def call(self, inputs: Tensor) -> Tensor:
        return ops.layer_norm(inputs, self.gamma, self.beta, axis=self.axis, epsilon=self.epsilon)

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.channels(self.axis, input_shape)


@register("layers")
class GroupNormalization(ScaledLayer):
    """Each sample's channels in groups, every group to mean 0 and variance 1 (Wu & He, 2018).

    Args:
        groups: how many; -1 makes every channel its own (instance normalisation).
        axis: of the channels.
        epsilon: added to the variance.
        center, scale: whether to add beta, and to multiply by gamma.
        beta_initializer, gamma_initializer: of the weights, shape ``(C,)``.
        beta_regularizer, gamma_regularizer: what they add to the loss.
        beta_constraint, gamma_constraint: what they are held to after each step.

    Raises:
        ValueError: the groups do not divide the channels.
    """

    def __init__(
        self,
        groups: Groups = 32,
        axis: Axes = -1,
        epsilon: Positive = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.groups = groups
        self.axis = _one_axis(axis, self._where)

    def build(self, input_shape: Any) -> None:
        channels = _length(input_shape, self.axis, self._where)
        groups = channels if self.groups == -1 else self.groups
        if groups < 1 or channels % groups:
            raise LayerError(
                f"{self._where}: groups must divide the channels, received groups={self.groups} "
                f"and {channels} channels."
            )
        self.add_scale((channels,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Tensor) -> Tensor:
        groups = inputs.shape[self.axis] if self.groups == -1 else self.groups
        return ops.group_norm(
            inputs, self.gamma, self.beta, groups=groups, axis=self.axis, epsilon=self.epsilon
        )

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return None


@register("layers")
class LocalResponseNormalization(Layer):
    """Each channel divided by the size of its neighbours, as in AlexNet (Krizhevsky et al., 2012,
    section 3.3): ``b_i = a_i / (k + alpha * sum_j a_j^2)^beta`` over n channels around i.

    Args:
        n: how many neighbouring channels count, the channel itself among them.
        k, alpha, beta: as in the formula. PyTorch divides alpha by n.

    Raises:
        ValueError: n is below 1.
    """

    casts_integers = True

    def __init__(
        self,
        n: Count = 5,
        k: Finite = 2.0,
        alpha: Finite = 1e-4,
        beta: Finite = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta
        self.input_spec = InputSpec(min_ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.local_response_norm(inputs, n=self.n, k=self.k, alpha=self.alpha, beta=self.beta)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


def _one_axis(axis: Axes, where: str) -> int:
    if isinstance(axis, (list, tuple)) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, int) or axis == 0:
        raise ValueError(
            f"{where}: axis is that of the channels, one integer other than 0, received {axis!r}."
        )
    return axis


def _length(shape: Shape, axis: int, where: str) -> int:
    if not -len(shape) <= axis < len(shape):
        raise LayerError(f"{where} normalises axis {axis}, which an input {shape} has not.")
    return known_length(shape, axis, "channels", where)
