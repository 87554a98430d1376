"""Images that are changed at random while a model learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import Sequential, layers, no_grad, utils
from ..callbacks import Callback
from .recipes import AUGMENTATIONS


class Augmentation(Callback):
    """Lets `fit` learn from changed images, while the model itself stays as it is.

    Args:
        names: keys of `AUGMENTATIONS`, at least one.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        chosen = [AUGMENTATIONS[name] for name in names]
        self._change = Sequential([getattr(layers, kind)(**settings) for kind, settings in chosen])

    def get_state(self) -> dict[str, Any]:
        return {"random": [v.data for v in self._change.variables]}

    def set_state(self, state: dict[str, Any]) -> None:
        for variable, values in zip(self._change.variables, state["random"], strict=True):
            variable.assign(values)

    def on_train_begin(self, logs: Any = None) -> None:
        learn = self.model.train_step

        def train_step(data: Any) -> Any:
            x, y, sample_weight = utils.unpack_x_y_sample_weight(data)
            with no_grad():
                changed = self._change(x, training=True).numpy()
            return learn((changed, y, sample_weight))

        self.model.train_step = train_step

    def on_train_end(self, logs: Any = None) -> None:
        del self.model.train_step  # what its class defines is there again
