"""`SwapEMAWeights`: judge a model by the moving average of its weights."""

from __future__ import annotations

from typing import Any

from .base import Callback, Logs


class SwapEMAWeights(Callback):
    """Put the moving averages of the weights into a model while it is judged, then take them out.

    The optimizer keeps the averages: it needs ``use_ema=True``. At the end of `fit` the model has
    them as its weights.

    Args:
        swap_on_epoch: whether the averages stay in the model from the end of one epoch to the start
            of the next, so that callbacks after this one, such as `ModelCheckpoint`, see them.

    Raises:
        ValueError: the optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._kept: list[tuple[Any, Any]] = []  # variables, and what they were

    def get_state(self) -> dict[str, Any]:
        return {"weights": [weights for _, weights in self._kept]}

    def set_state(self, state: dict[str, Any]) -> None:
        weights = state["weights"]
        variables = self.model.trainable_variables if weights else []
        self._kept = list(zip(variables, weights, strict=True))

    def _swap(self, averages: bool) -> None:
        """Have the averages in the model, or the weights."""
        if averages and not self._kept:
            optimizer = self._optimizer()
            self._kept = [(v, v.data.copy()) for v in self.model.trainable_variables]
            for variable, _ in self._kept:
                variable.assign(optimizer.average_of(variable))
        elif not averages:
            for variable, weights in self._kept:
                variable.assign(weights)
            self._kept = []

    def _optimizer(self) -> Any:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                f"SwapEMAWeights needs an optimizer that keeps averages: pass use_ema=True to "
                f"{type(optimizer).__name__}."
            )
        return optimizer

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._optimizer()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._kept = []  # `fit` has put the averages into the model

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._swap(False)
