"""`Model`: a layer that can be trained, looked into and saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from . import saving
from .layers.base import Layer
from .layers.core import InputLayer
from .serialization import register
from .summary import summary_text
from .training import Trainer


@register("models")
class Model(Trainer, Layer):
    """A layer that can be trained, looked into and saved.

    Subclasses make their layers in ``__init__`` and connect them in ``call(self, x)``:

        class Net(gt.Model):
            def __init__(self):
                super().__init__()
                self.hidden = gt.layers.Dense(100, activation="relu")
                self.answer = gt.layers.Dense(10, activation="softmax")

            def call(self, x):
                return self.answer(self.hidden(x))

    Args:
        trainable: whether an optimizer should update the weights.
        dtype: ``"float32"`` or ``"float64"``: what floating inputs are converted to.
        name: default: the class in snake case, numbered.
    """

    def build(self, input_shape: Any) -> None:
        """Create the weights of all layers, by computing once on zeros."""
        self._try(self.call, input_shape, 1)

    def _build_on(self, input_shape: Any) -> None:
        if type(self).build is not Model.build:
            super()._build_on(input_shape)
            return
        # The call that is about to happen builds every layer.
        self.built = True
        self._build_shape = input_shape

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in this model, in order, without its input."""
        return [v for v in self._owned()[1] if not isinstance(v, InputLayer)]  # type: ignore[misc]

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

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Print the layers, their output shapes and their parameters.

        Args:
            line_length: the width in characters. Default: as wide as it needs to be.
            print_fn: receives the text instead of `print`.
            expand_nested: also list the layers of models that are layers.
            show_trainable: add a column that says which layers are trained.
        """
        text = summary_text(self, line_length, expand_nested, show_trainable)
        (print_fn or print)(text)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model, its weights, and how it was compiled and trained so far, to one file.

        `gradtape.load_model` makes the same model of it, which goes on training where this one is.

        Args:
            filepath: of the file, with any extension; see `gradtape.archive` for the format.
            overwrite: whether a file that exists may be replaced.

        Raises:
            FileExistsError: it exists, and may not be replaced.
            TypeError: a layer cannot be written down; see `Layer.get_config`.
        """
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone to a file.

        Args:
            filepath: of the file, with any extension.
            overwrite: whether a file that exists may be replaced.

        Raises:
            FileExistsError: it exists, and may not be replaced.
            ValueError: the model has no weights yet.
        """
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Overwrite the weights with those in a file that `save_weights` or `save` wrote.

        Args:
            filepath: of the file.

        Raises:
            ValueError: a weight is missing, unexpected or of another shape (all are listed), or the
                file is damaged; nothing is changed.
        """
        saving.load_weights(self, filepath)
