"""`Model`: a layer that can be trained, looked into and saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from .. import saving
from ..autograd.operators import Deferred
from ..autograd.tensor import Tensor, as_tensor
from ..autograd.tree import tree_leaves, tree_map
from ..config.checked import Count, checked
from ..config.naming import unique_name
from ..config.serialization import register, serialize
from ..config.tracebacks import shorten
from ..inspection.summary import summary_text
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.symbolic import Call, SymbolicTensor
from ..layers.topology import Topology, tensors_from_config
from ..training.training import Trainer


@register("models")
class Model(Trainer):
    """A layer that can be trained, looked into and saved.

    Made of symbolic tensors, it computes what lies between them (the functional API):

        x = gt.Input((28, 28, 1))
        h = gt.layers.Dense(100, activation="relu")(gt.layers.Flatten()(x))
        model = gt.Model(x, gt.layers.Dense(10)(h))

    Subclasses make their layers in ``__init__`` and connect them in ``call(self, x)``:

        class Net(gt.Model):
            def __init__(self):
                super().__init__()
                self.hidden = gt.layers.Dense(100, activation="relu")
                self.answer = gt.layers.Dense(10, activation="softmax")

            def call(self, x):
                return self.answer(self.hidden(x))

    Args:
        inputs: what `Input` returned, or a list or dict of such tensors; any other symbolic tensor
            will do, too. Only together with `outputs`.
        outputs: what layers returned for them: a tensor, or a list or dict of tensors.
        trainable: whether an optimizer should update the weights.
        dtype: ``"float32"`` or ``"float64"``: what a subclass converts floating inputs to.
        name: default: ``"functional"``, or the subclass in snake case, numbered.

    Raises:
        TypeError: something that is no symbolic tensor, or inputs without outputs.
        ValueError: outputs that need an `Input` which is not listed, or two layers of one name.
    """

    _topology: Topology | None = None
    _basic_config = True  # subclasses say their arguments as layers do

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if type(self) is Model and name is None:
            name = unique_name("functional")
        super().__init__(trainable=trainable, dtype=dtype, name=name, **kwargs)
        if inputs is None and outputs is None:
            return
        if inputs is None or outputs is None:
            missing = "inputs" if inputs is None else "outputs"
            raise TypeError(f"{self._where} received no {missing}: gt.Model(inputs, outputs).")
        self._topology = Topology(inputs, outputs, self._where)
        self._layers: list[Layer] = self._topology.layers
        self._build_shape = tree_map(lambda t: t.shape, inputs)
        self.built = True
        if not trainable:
            self.trainable = False

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """What is between inputs and outputs; subclasses override this."""
        if self._topology is None:
            raise TypeError(
                f"{type(self).__name__} must define call(self, inputs), which connects its layers."
            )
        return self._topology.run(inputs, self._where)

    def check_input(self, shape: Any) -> None:
        """Refuse inputs that are not what the model was made for."""
        if self._topology is not None and type(self).call is Model.call:
            self._topology.check(shape, self._where)
        else:
            super().check_input(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for a shape of the input, None where any length will do."""
        if self._topology is not None and type(self).call is Model.call:
            return self._topology.output_shapes(input_shape, self._where)
        return super().compute_output_shape(input_shape)

    def _connections(self, shapes: Any = None) -> tuple[Any, list[Call], Any] | None:
        """Inputs, calls and outputs, if the model knows them; of `shapes` if it is not built."""
        topology = self._topology
        if topology is None or type(self).call is not Model.call:
            return None
        return topology.inputs, topology.calls, topology.outputs

    def _convert(self, value: Any) -> Tensor:
        if self._topology is None:
            return super()._convert(value)
        # Every Input knows what dtype it needs.
        known = isinstance(value, (Tensor, Deferred))
        return value if known else as_tensor(self._numbers(value))

    def build(self, input_shape: Any) -> None:
        """Create the weights of all layers, by computing once on zeros."""
        self._try(self.call, input_shape, 1)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        built = getattr(self, "built", True)
        try:
            return super().__call__(inputs, *args, **kwargs)
        except BaseException as error:
            shorten(error)
            if not built and type(self).build is Model.build:  # it was to be built by this call
                self.built, self._build_shape = False, None
            raise

    def _build_on(self, input_shape: Any) -> None:
        if type(self).build is not Model.build:
            super()._build_on(input_shape)
            return
        # The call that is about to happen builds every layer.
        self.built = True
        self._build_shape = input_shape

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs, one after the other.

        Raises:
            AttributeError: the model was not made of symbolic tensors.
        """
        return list(tree_leaves(self.input))

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs, likewise."""
        return list(tree_leaves(self.output))

    @property
    def input(self) -> Any:
        """The symbolic inputs as they were given; of a subclass, what it was called on."""
        return self._topology.inputs if self._topology is not None else super().input

    @property
    def output(self) -> Any:
        """The symbolic outputs, likewise."""
        return self._topology.outputs if self._topology is not None else super().output

    @property
    def output_shape(self) -> Any:
        """The shape of the output for `input_shape`."""
        if self._topology is not None:
            return tree_map(lambda t: t.shape, self._topology.outputs)
        return super().output_shape

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in this model, in order: of a functional one with its inputs."""
        if self._topology is not None:
            return list(self._topology.layers)
        return [v for v in self._owned()[1] if not isinstance(v, InputLayer)]  # type: ignore[misc]

    def _output_names(self) -> list[str] | None:
        return self._topology.output_names if self._topology is not None else None

    def _counts(self) -> tuple[int | None, int | None]:
        if self._topology is None:
            return None, None
        return len(self._topology.input_layers), len(self._topology.output_names)

    @checked
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer of this model by its name or its position.

        Raises:
            ValueError: there is no such layer, or both or neither are given.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index.")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"{self._where} has {len(layers)} layers, there is none at index {index}."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"{self._where} has no layer {name!r}. Its layers: {', '.join(v.name for v in layers)}."
        )

    @checked
    def summary(
        self,
        line_length: Count | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        batch_size: Count = 32,
    ) -> None:
        """Print the layers: output shapes, parameters, multiply-adds, receptive fields, memory.

        Args:
            line_length: the width in characters. Default: as wide as it needs to be.
            print_fn: receives the text instead of `print`.
            expand_nested: also list the layers of models that are layers.
            show_trainable: add a column that says which layers are trained.
            batch_size: the samples that memory is counted for; see `gradtape.analysis`.
        """
        text = summary_text(self, line_length, expand_nested, show_trainable, batch_size)
        (print_fn or print)(text)

    @checked
    def explain(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Print what runs natively, and what does not and why: layers, loss and optimizer.

        A training step that a native program does not cover runs eagerly, which is right but slow.
        A layer without a lowering runs on the tape, in the middle of a native step, unless there
        are more of them than of the others; so does a loss without a kernel, always.

        Args:
            print_fn: receives the text instead of `print`.

        Raises:
            ValueError: the model has not been built yet.
        """
        if not self.built:
            raise ValueError(
                f"{self._where} has not been built yet, so there is nothing to explain: call it on "
                "data, or give it an Input."
            )
        (print_fn or print)(self._explanation())

    def _explanation(self) -> str:
        native, shape = self._programs(), self.input_shape
        if native is None:
            return "Nothing runs natively: compiled kernels or programs are turned off."
        shapes = (
            [tuple(layer.batch_shape[1:]) for layer in self._topology.input_layers]
            if (self._topology is not None)
            else [tuple(shape[1:])]
        )
        if any(n is None for s in shapes for n in s):
            return f"Nothing can be said before data comes: the inputs have the shape {shape}."
        losses = None
        if self._scores is not None:
            names = self._output_names() or []
            rows = self._scores.by_output(None, None)
            named = [f"loss of {n}" for n in names] if len(rows) > 1 else ["loss"]
            losses = [(name, row.loss) for name, row in zip(named, rows, strict=True)]
        samples = shapes if len(shapes) > 1 else shapes[0]
        return native.explain(samples, losses, self.optimizer)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this model again, as plain data; see `Layer.get_config`."""
        config = super().get_config()
        if self._topology is not None and type(self).__init__ is Model.__init__:
            config |= self._topology.get_config()
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The model that `get_config` described, with fresh weights."""
        if "calls" not in config:
            return super().from_config(config)
        inputs, outputs = tensors_from_config(config)
        return cls(inputs, outputs, **{k: config[k] for k in ("name", "trainable", "dtype")})

    def to_json(self, **kwargs: Any) -> str:
        """The model without its weights, as text for `gradtape.models.model_from_json`.

        Args:
            **kwargs: for `json.dumps`.

        Raises:
            TypeError: a layer cannot be written down; see `Layer.get_config`.
        """
        return json.dumps(serialize(self), **kwargs)

    @checked
    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model, its weights, and how it was compiled and trained so far, to one file.

        `gradtape.load_model` makes the same model of it, which goes on training where this one is.

        Args:
            filepath: of the file, ending in ``.npz``; see `gradtape.saving.archive` for the format.
            overwrite: whether a file that exists may be replaced.

        Raises:
            ValueError: the ending is that of another format, as ``.keras`` or ``.onnx``.
            FileExistsError: it exists, and may not be replaced.
            TypeError: a layer cannot be written down; see `Layer.get_config`.
        """
        saving.save_model(self, filepath, overwrite)

    @checked
    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone to a file.

        Args:
            filepath: of the file, ending in ``.npz``.
            overwrite: whether a file that exists may be replaced.

        Raises:
            FileExistsError: it exists, and may not be replaced.
            ValueError: the model has no weights yet, or the ending is that of another format.
        """
        saving.save_weights(self, filepath, overwrite)

    @checked
    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Overwrite the weights with those in a file that `save_weights` or `save` wrote.

        Args:
            filepath: of the file.
            skip_mismatch: whether weights that do not fit are left as they are, with a warning.

        Raises:
            ValueError: a weight is missing, unexpected or of another shape (all are listed), or the
                file is damaged; nothing is changed.
        """
        saving.load_weights(self, filepath, skip_mismatch)
