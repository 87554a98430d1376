"""Embedding: a vector for every number."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import constraints, initializers, ops, regularizers
from ..autograd.tensor import Tensor
from ..config.checked import Count
from ..config.serialization import register
from .base import Layer
from .input_spec import LayerError
from .window import Window


@register("layers")
class Embedding(Layer):
    """A learned vector for each of the ids 0, 1, 2...: ``(N, ...)`` to ``(N, ..., output_dim)``.

    Args:
        input_dim: how many numbers there are: ids go from 0 to ``input_dim - 1``.
        output_dim: the length of the vectors.
        embeddings_initializer: of the table, ``(input_dim, output_dim)``.
        embeddings_regularizer: what it adds to the loss.
        embeddings_constraint: what is done to it after each step.
        mask_zero: False: masks are not passed from layer to layer here.
        weights: the table itself, ``(input_dim, output_dim)``, to begin with.

    Raises:
        ValueError: sizes that are no positive integers, an id that is not in the table, or
            ``mask_zero=True``.
    """

    unsaid = ("weights",)

    def __init__(
        self,
        input_dim: Count,
        output_dim: Count,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_dim = input_dim
        self.output_dim = output_dim
        if mask_zero:
            raise ValueError(
                f"{self._where}: mask_zero=True is not supported, for masks are not passed from "
                "layer to layer. Pass sample weights to fit, or multiply by the mask."
            )
        self.mask_zero = False
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        if weights is not None:
            given = [np.asarray(v) for v in (weights if isinstance(weights, list) else [weights])]
            if [v.shape for v in given] != [(input_dim, output_dim)]:
                raise LayerError(
                    f"{self._where}: weights is an array of shape {(input_dim, output_dim)}, or a "
                    f"list with one, received {weights!r}."
                )
            self.build((None,))
            self.set_weights(given)

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    def call(self, inputs: Tensor) -> Tensor:
        ids = inputs if inputs.dtype.kind in "iu" else inputs.detach().astype("int64")
        if ids is not inputs and (broken := inputs.data[inputs.data != ids.data]).size:
            raise LayerError(f"{self._where} takes ids, whole numbers, received {broken[0]:g}.")
        outside = ids.data[(ids.data < 0) | (ids.data >= self.input_dim)]
        if outside.size:
            raise LayerError(
                f"{self._where} has vectors for the ids 0 to {self.input_dim - 1}, received "
                f"{outside[0]}. Was input_dim counted without an id, or do they begin at 1?"
            )
        return ops.embedding(self.embeddings, ids)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        return 0

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.point(output_shape)
