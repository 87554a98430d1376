"""`Trainer`: `fit` learns from data, `evaluate` judges, `predict` answers."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .callbacks import CallbackList, History
from .data import ArrayData, class_weights, unpack
from .interrupts import Interrupts
from .outputs import arrays_of
from .progress import Progress
from .scores import Logs, flat, numbers_of
from .settings import check_verbose, count_of, refuse_unknown
from .steps import Round, Steps
from .tape import no_grad
from .tree import tree_leaves, tree_map

Array = np.ndarray


class Trainer(Steps):
    """The part of a model that learns. `gradtape.Model` is a `Trainer` and a `Layer`.

    Attributes:
        history: the `History` of the last `fit`, also when it was interrupted.
        stop_training: a callback sets this to end `fit` after the batch or epoch.
    """

    history: History | None = None
    stop_training: bool = False

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        *,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        **unknown: Any,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: inputs, an array of shape (N, ...) of any numeric dtype, a tensor or a list. For
                several inputs a list of them, or a dict by name.
            y: targets, shape (N, ...); for several outputs a list of them, or a dict by name.
            batch_size: samples in a step. Default: 32.
            epochs: the number of the epoch after which to stop, counted from 1.
            verbose: 0 is silent, 1 shows a bar where one can move and a line per epoch, 2 lines
                only; ``"auto"`` is 1.
            callbacks: a `Callback` or a list of them.
            validation_split: the share of the samples, taken from the end before shuffling, that is
                judged after each epoch instead of being trained on.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to judge after each epoch.
            shuffle: whether every epoch has an order of its own.
            class_weight: from class number to the weight of its samples in the loss.
            sample_weight: the weight of each sample in the loss, shape (N,); for several outputs
                also a list of them, or a dict by name.
            initial_epoch: the number of epochs already done, to resume a run.
            validation_batch_size: default: `batch_size`.
            validation_freq: judge after every so many epochs.

        Returns:
            The `History`: ``.history`` holds the logs of each epoch by name.

        Raises:
            ValueError, TypeError: `compile` was not called, or data, labels or settings do not fit.
            KeyboardInterrupt: after Ctrl-C, when the current batch is done; `history` and the
                weights are those up to it.
        """
        refuse_unknown(Trainer.fit, unknown)
        self._compiled("fit")
        epochs, first = count_of(epochs, "epochs", 0), count_of(initial_epoch, "initial_epoch", 0)
        every = count_of(validation_freq, "validation_freq")
        counts = self._counts()
        data = ArrayData(x, y, sample_weight, batch_size, bool(shuffle), counts=counts)
        validation = None
        if validation_data is not None:
            parts = unpack(validation_data, "validation_data")
            validation = ArrayData(*parts, batch_size, name="validation_data", counts=counts)
        elif validation_split:
            data, validation = data.split(validation_split)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("fit() takes class_weight or sample_weight, not both.")
            data.arrays["sample_weight"] = class_weights(data.y, class_weight)
        self._inspect(data, "fit")
        if validation is not None:
            if validation_batch_size is not None:
                validation.batch_size = count_of(validation_batch_size, "validation_batch_size")
            self._inspect(validation, "fit")
        if not self.trainable_variables:
            warnings.warn("The model has no trainable weights: fit() changes none.", stacklevel=2)
        self._build_optimizer()

        history = self.history = History()
        progress = Progress(check_verbose(verbose))
        params = {"epochs": epochs, "steps": data.steps, "verbose": progress.verbose}
        everyone = CallbackList([*CallbackList(callbacks).callbacks, history], self, **params)
        self.stop_training = False
        self._round = Round()
        logs: Logs = {}
        epoch = first
        try:
            with Interrupts() as interrupts:
                everyone.on_train_begin({})
                for epoch in range(first, epochs):
                    everyone.on_epoch_begin(epoch, {})
                    progress.begin(f"Epoch {epoch + 1}/{epochs}", data.steps)
                    logs = self._train_epoch(data, epoch, everyone, progress, interrupts)
                    if validation is not None and (epoch + 1) % every == 0:
                        progress.note("validating")
                        judged = self._test(validation, everyone, None, interrupts)
                        logs |= {f"val_{name}": value for name, value in judged.items()}
                    progress.clear()
                    everyone.on_epoch_end(epoch, logs)
                    progress.end(logs)
                    if self.stop_training:
                        break
                everyone.on_train_end(logs)
        except KeyboardInterrupt:
            progress.close()
            done = len(history.epoch)
            progress.say(
                f"Interrupted in epoch {epoch + 1}/{epochs}: the model keeps what it learned, "
                f"model.history the {done} finished epoch{'' if done == 1 else 's'}."
            )
            raise
        finally:
            progress.close()
            self._round = None
        return history

    def _train_epoch(
        self,
        data: ArrayData,
        epoch: int,
        callbacks: CallbackList,
        progress: Progress,
        interrupts: Interrupts,
    ) -> Logs:
        """Train on every batch once; the logs at the end."""
        self.reset_metrics()
        current = self._round = self._round or Round()
        current.begin(self.trainable_variables)
        steps_done = self.optimizer.iterations if self.optimizer is not None else 0
        logs: Logs = {}
        for batch, parts in enumerate(data.batches(epoch, steps_done)):
            callbacks.on_train_batch_begin(batch, {})
            logs = numbers_of(self.train_step(*parts), "train_step")
            callbacks.on_train_batch_end(batch, logs)
            progress.step(logs)
            if current.finite and not math.isfinite(logs.get("loss", 0.0)):
                current.finite = False
                progress.clear()
                self._explain_loss(logs["loss"], epoch, batch)
            interrupts.check()
            if self.stop_training:
                break
        return dict(logs)

    def _explain_loss(self, loss: float, epoch: int, batch: int) -> None:
        rate = f" (it is {self.optimizer.learning_rate:g})" if self.optimizer is not None else ""
        warnings.warn(
            f"The loss became {loss} in epoch {epoch + 1} at batch {batch + 1}. Likely causes: a "
            f"learning rate that is too high{rate}; inputs that are not finite or not scaled "
            "(divide pixels by 255); gradients that explode (optimizer with clipnorm=1.0). "
            "gt.detect_anomaly() finds the op.",
            stacklevel=4,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
    ) -> Any:
        """The loss and the metrics on data, without learning from it.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as for `fit`.
            return_dict: whether to return a dict by name.

        Returns:
            The loss, or a list of the loss and each metric, or a dict of them.

        Raises:
            ValueError, TypeError: as for `fit`.
        """
        refuse_unknown(Trainer.evaluate, unknown)
        self._compiled("evaluate")
        data = ArrayData(x, y, sample_weight, batch_size, counts=self._counts())
        self._inspect(data, "evaluate")
        progress = Progress(check_verbose(verbose))
        params = {"epochs": 1, "steps": data.steps, "verbose": progress.verbose}
        everyone = CallbackList(callbacks, self, **params)
        try:
            progress.begin("Evaluate", data.steps)
            logs = self._test(data, everyone, progress)
            progress.end(logs)
        finally:
            progress.close()
        return logs if return_dict else flat(logs)

    def _test(
        self,
        data: ArrayData,
        callbacks: CallbackList,
        progress: Progress | None,
        interrupts: Interrupts | None = None,
    ) -> Logs:
        """Judge every batch; the logs at the end."""
        self.reset_metrics()
        before, self._round = self._round, Round()
        logs: Logs = {}
        callbacks.on_test_begin({})
        try:
            for batch, parts in enumerate(data.batches()):
                callbacks.on_test_batch_begin(batch, {})
                with no_grad():
                    logs = numbers_of(self.test_step(*parts), "test_step")
                callbacks.on_test_batch_end(batch, logs)
                if progress is not None:
                    progress.step(logs)
                if interrupts is not None:
                    interrupts.check()
        finally:
            self._round = before
        callbacks.on_test_end(logs)
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """The outputs for inputs, a batch at a time.

        Args:
            x, batch_size, callbacks: as for `fit`.
            verbose: 0 is silent; otherwise a bar runs where one can move, and leaves nothing.

        Returns:
            An array of shape (N, ...), in the dtype of the model; a list or dict of them if the
            model returns several outputs so.
        """
        refuse_unknown(Trainer.predict, unknown)
        data = ArrayData(x, batch_size=batch_size, counts=self._counts())
        progress = Progress(check_verbose(verbose))
        params = {"epochs": 1, "steps": data.steps, "verbose": progress.verbose}
        everyone = CallbackList(callbacks, self, **params)
        outputs: Any = None
        try:
            progress.begin("Predict", data.steps)
            everyone.on_predict_begin({})
            for batch, (part, _, _) in enumerate(data.batches()):
                everyone.on_predict_batch_begin(batch, {})
                with no_grad():
                    y_pred = arrays_of(self.predict_step(part))
                if outputs is None:
                    outputs = tree_map(
                        lambda y: np.empty((len(data), *y.shape[1:]), y.dtype), y_pred
                    )
                start = batch * data.batch_size
                for whole, some in zip(tree_leaves(outputs), tree_leaves(y_pred), strict=True):
                    whole[start : start + len(some)] = some
                everyone.on_predict_batch_end(batch, {"outputs": y_pred})
                progress.step({})
            everyone.on_predict_end({})
        finally:
            progress.close()
        return outputs

    # One batch

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Learn from one batch, as `fit` does; returns its loss and metrics, as `evaluate` does."""
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("train_on_batch() takes class_weight or sample_weight, not both.")
            sample_weight = class_weights(y, class_weight)
        return self._on_batch("train_on_batch", x, y, sample_weight, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics on one batch, as `evaluate` returns them."""
        with no_grad():
            return self._on_batch("test_on_batch", x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as `predict` returns them."""
        with no_grad():
            data = ArrayData(x, counts=self._counts())
            return tree_map(np.copy, arrays_of(self.predict_step(data.x)))

    def _on_batch(self, method: str, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        scores = self._compiled(method)
        data = ArrayData(x, y, sample_weight, counts=self._counts())
        self._need_targets(data, scores, method)
        scores.reset()
        step = self.train_step if method == "train_on_batch" else self.test_step
        logs = numbers_of(step(data.x, data.y, data.sample_weight), method)
        return logs if return_dict else flat(logs)
