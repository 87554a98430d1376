"""`Sequential`: a model that is a list of layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.operators import Deferred
from ..autograd.tensor import Tensor, as_tensor
from ..autograd.tree import Shape, is_shape, tree_leaves
from ..config.serialization import deserialize, register, serialize
from ..config.tracebacks import filtered
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.input_spec import LayerError
from ..layers.symbolic import Call, SymbolicTensor
from .model import Model


@register("models")
class Sequential(Model):
    """A model that is a list of layers, each computing on what the one before returned.

        model = gt.Sequential([gt.Input((28, 28, 1)), gt.layers.Flatten(), gt.layers.Dense(10)])

    With an `Input` first the weights exist at once, otherwise from the first data on.

    Args:
        layers: in order; models may be layers.
        trainable: whether an optimizer should update the weights.
        name: default: ``"sequential"``, numbered.

    Raises:
        TypeError: something that is no layer.
        ValueError: two layers of one name, an `Input` that is not first, or shapes that do not fit.
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        self._chain: list[Call] = []
        if layers is not None and not isinstance(layers, Iterable):
            raise TypeError(f"{self._where} takes a list of layers, received {layers!r}.")
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the `Input`."""
        return [v for v in self._layers if not isinstance(v, InputLayer)]

    @property
    def input(self) -> Any:
        """The symbolic input.

        Raises:
            AttributeError: its shape is not known yet.
        """
        return self._chain[0].inputs[0] if self._chain else super().input

    @property
    def output(self) -> Any:
        """The symbolic output.

        Raises:
            AttributeError: the model has not been built yet.
        """
        return self._chain[-1].outputs if self._chain else super().output

    def _connections(self, shapes: Any = None) -> tuple[Any, list[Call], Any] | None:
        if not self.built and shapes is not None:
            self.build(shapes)
        return (self.input, self._chain, self.output) if self._chain else None

    @filtered
    def add(self, layer: Any) -> None:
        """Put a layer at the end.

        Raises:
            TypeError: it is no layer.
            ValueError: its name is taken, or it does not fit what comes before it.
        """
        layers, built = list(self._layers), self.built
        try:
            self._append(layer)
            self._rebuild()
        except Exception:
            self._layers, self.built = layers, built
            raise

    def pop(self) -> Layer:
        """Take the last layer off, and return it.

        Raises:
            ValueError: there is none.
        """
        if not self.layers:
            raise ValueError(f"{self._where} has no layer to pop.")
        layer = self._layers.pop()
        self._rebuild()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, SymbolicTensor):
            layer = layer.call.layer
            if not isinstance(layer, InputLayer):
                raise TypeError(
                    f"{self._where} takes layers, received the output of {layer.name!r}. Add the "
                    "layer itself."
                )
        if not isinstance(layer, Layer):
            hint = f" Write {layer.__name__}(...)." if isinstance(layer, type) else ""
            raise TypeError(f"{self._where} takes layers, received {layer!r}.{hint}")
        if layer is self:
            raise ValueError(f"{self._where} cannot be a layer of itself.")
        if not self._layers and layer._first_shape is not None:
            self._layers.append(InputLayer(batch_shape=layer._first_shape))
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(f"The Input of {self._where} must come first, and once.")
        if any(layer.name == other.name and layer is not other for other in self._layers):
            raise ValueError(
                f"{self._where} already has a layer named {layer.name!r}. Pass another name=."
            )
        self._layers.append(layer)

    def _rebuild(self) -> None:
        """Build what is new, if the shape of the input is known."""
        shape = self._build_shape
        if self._layers:
            first = self._layers[0]
            if isinstance(first, InputLayer):
                shape = first.batch_shape
            elif shape is None and isinstance(first, Model) and first.built:
                shape = first.input_shape
        self.built = False
        if shape is not None and self.layers:
            self.build(shape)

    def build(self, input_shape: Any) -> None:
        """Create the weights of all layers.

        Args:
            input_shape: with the batch axis, ``(None, 28, 28, 1)``.

        Raises:
            ValueError: there are no layers, or the shape does not fit one of them.
        """
        if not self.layers:
            raise ValueError(f"{self._where} has no layers to build. Call add(layer) first.")
        self.check_input(input_shape)
        chain: list[Call] = []
        x = self._first(input_shape)
        for i, layer in enumerate(self.layers):
            known = self._chain[i] if i < len(self._chain) else None
            if known is not None and known.layer is layer and known.inputs[0] is x:
                x = known.outputs
            else:
                x = layer(x)
            chain.append(next(tree_leaves(x)).call)
        self._chain = chain

    def _first(self, input_shape: Any) -> Any:
        """What the first layer is called on."""
        first = self._layers[0]
        if isinstance(first, InputLayer):
            return first.output
        if not is_shape(input_shape):
            raise LayerError(f"{self._where} takes one input, received {len(input_shape)}.")
        if self._chain and self._chain[0].inputs[0].shape == tuple(input_shape):
            return self._chain[0].inputs[0]
        return InputLayer(batch_shape=input_shape, name=f"{self.name}_input").output

    def check_input(self, shape: Any) -> None:
        """Refuse an input that is not what the `Input` says, but for an axis of length 1."""
        if not self._layers or not isinstance(self._layers[0], InputLayer):
            return
        if not is_shape(shape):
            raise LayerError(f"{self._where} takes one input, received {len(shape)}.")
        self._layers[0].refuse(shape, self._where)

    def _output_names(self) -> list[str] | None:
        return [self.layers[-1].name] if self.layers else None

    def _counts(self) -> tuple[int | None, int | None]:
        return 1, 1

    def _convert(self, value: Any) -> Tensor:
        # The first layer knows what dtype it needs.
        known = isinstance(value, (Tensor, Deferred))
        return value if known else as_tensor(np.asarray(value))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        for layer in self._layers:
            inputs = layer(inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape: Shape | Any = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self._trainable,
            "layers": [serialize(layer) for layer in self._layers],
            "build_input_shape": serialize(self._build_shape),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The model that `get_config` described, with fresh weights."""
        layers = [deserialize(c, "layer", "layers") for c in config["layers"]]
        model = cls(layers, trainable=config["trainable"], name=config["name"])
        if config["build_input_shape"] is not None and not model.built:
            model.build(config["build_input_shape"])
        return model
