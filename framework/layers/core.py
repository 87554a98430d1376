"""Dense, Activation, and the Input that says what shape a model takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations, constraints, initializers, ops, regularizers
from ..autograd.tensor import Tensor
from ..autograd.tree import Shape
from ..config.checked import Count, argument, kind_of
from ..config.serialization import register
from ..config.tracebacks import filtered
from .arguments import float_dtype, known_length
from .base import Layer
from .input_spec import InputSpec, LayerError, batch_hint
from .symbolic import Call, SymbolicTensor
from .window import Window


@register("layers")
class InputLayer(Layer):
    """What a model takes: the shape and dtype of its input. It computes nothing.

    Args:
        shape: of one sample, ``(28, 28, 1)``; None where any length will do.
        batch_size: the length of the batch axis, if it is fixed.
        dtype: what the input is converted to. Default: ``"float32"``.
        sparse, ragged, input_tensor, optional: None or False: inputs are dense arrays, all of them
            needed.
        batch_shape: the shape with its batch axis, instead of `shape` and `batch_size`.
        name: unique in its model.

    Raises:
        ValueError: no shape, or both, or an input that is no dense array.
    """

    casts_integers = True

    def __init__(
        self,
        shape: Any = None,
        batch_size: Count | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        other = {"sparse": sparse, "ragged": ragged, "optional": optional}
        for kind, given in {**other, "tensor": input_tensor is not None}.items():
            if given:
                raise ValueError(
                    f"{self._where}: {kind} inputs are not supported. An input is a dense array: "
                    "say its shape."
                )
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                "Input takes the shape of one sample, as in Input((28, 28, 1)), or batch_shape; "
                f"received shape={shape!r}, batch_shape={batch_shape!r}."
            )
        if isinstance(shape, int):
            raise ValueError(f"The shape of an Input is a tuple: write Input(({shape},)).")
        name, given = ("shape", shape) if batch_shape is None else ("batch_shape", batch_shape)
        sizes = tuple(argument(self._where, name, given, kind_of(Sequence[Count | None])))
        self.batch_shape: Shape = sizes if batch_shape is not None else (batch_size, *sizes)
        whole_numbers = dtype is not None and np.dtype(dtype).kind in "biu"
        self.dtype = np.dtype(dtype).name if whole_numbers else float_dtype(dtype)
        self.built = True
        self._build_shape = self.batch_shape
        self._own_call = Call(self, (), {})
        self._own_call.returns(self.batch_shape, self.dtype)

    def fitted(self, shape: Shape) -> Shape:
        """`shape` with a last axis of length 1 added or removed, if that makes the rank right."""
        rank = len(self.batch_shape)
        if len(shape) == rank - 1 and self.batch_shape[-1] == 1:
            return (*shape, 1)
        if len(shape) == rank + 1 and shape[-1] == 1:
            return shape[:-1]
        return shape

    def refuse(self, shape: Any, where: str) -> None:
        """Refuse an input of another shape, but for an axis of length 1.

        Args:
            shape: of the input, None where any length will do.
            where: the model, for the error.

        Raises:
            LayerError: the rank or the length of an axis differs.
        """
        expected, fitted = self.batch_shape, self.fitted(tuple(shape))
        if len(fitted) != len(expected):
            raise LayerError(
                f"{where} expected an input of rank {len(expected)}, {expected}, received "
                f"{tuple(shape)}.{batch_hint(fitted) if len(fitted) + 1 == len(expected) else ''}"
            )
        for axis, (n, m) in enumerate(zip(expected[1:], fitted[1:], strict=True), start=1):
            if n is not None and m is not None and n != m:
                raise LayerError(
                    f"{where} expected an input {expected}, received {tuple(shape)}: axis {axis} "
                    f"is {m} instead of {n}. Was the model built for another input?"
                )

    def call(self, inputs: Tensor) -> Tensor:
        shape = self.fitted(inputs.shape)
        return inputs if shape == inputs.shape else ops.reshape(inputs, shape=shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.fitted(tuple(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": self.batch_shape, "dtype": self.dtype, "name": self.name}


@filtered
def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """The input of a model, as a tensor to come: first in a `Sequential`, or to call layers on.

    Args:
        shape: of one sample, ``(28, 28, 1)``; None where any length will do.
        batch_size: the length of the batch axis, if it is fixed.
        dtype: what the input is converted to. Default: ``"float32"``.
        sparse, ragged, tensor, optional: None or False: inputs are dense arrays, all of them
            needed.
        batch_shape: the shape with its batch axis, instead of `shape` and `batch_size`.
        name: unique in its model.

    Raises:
        ValueError: no shape, or both, or an input that is no dense array.
    """
    given = (shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name)
    return InputLayer(*given).output


@register("layers")
class Dense(Layer):
    """``activation(x @ kernel + bias)`` over the last axis.

    Args:
        units: the length of the last axis of the output.
        activation: a name (``"relu"``) or a function. Default: none.
        use_bias: whether to add a bias.
        kernel_initializer: of the kernel, ``(inputs, units)``.
        bias_initializer: of the bias, ``(units,)``.
        kernel_regularizer, bias_regularizer: what they add to the loss, as in ``"l2"``.
        activity_regularizer: what the output adds to the loss, for each sample.
        kernel_constraint, bias_constraint: what they are held to after each step, as in
            ``"non_neg"``.

    Raises:
        ValueError: `units` is not a positive integer.
    """

    casts_integers = True

    activation = activations.Chosen()

    def __init__(
        self,
        units: Count,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = units
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        features = known_length(input_shape, -1, "features", self._where)
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features}, layout=("features",))

    def call(self, inputs: Tensor) -> Tensor:
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        return input_shape[-1] * math.prod(output_shape[1:])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.point(input_shape) if len(input_shape) > 2 else None


@register("layers")
class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: a name (``"relu"``) or a function.
    """

    casts_integers = True

    activation = activations.Chosen()

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)
