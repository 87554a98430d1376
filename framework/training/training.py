"""`Trainer`: `fit` learns from data, `evaluate` judges, `predict` answers."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tree import tree_map
from ..callbacks import CallbackList, History
from ..callbacks.progress import Progress
from ..config.checked import Count, Natural, checked
from ..config.interrupts import Interrupts
from ..config.settings import check_verbose, refuse_unknown
from ..config.tracebacks import warn
from ..config.turns import Own, kept
from ..data.data import ArrayData, pack_x_y_sample_weight, weights_of_classes
from ..data.feeding import BatchData, Data, Rounds, data_for, validation_for
from ..errors import counted
from .outputs import Outputs, arrays_of
from .repeating import Repeater
from .scores import Logs, flat, numbers_of
from .steps import Round, Steps

Array = np.ndarray


class Trainer(Steps):
    """A layer that learns from data, as `gradtape.Model` does.

    Attributes:
        history: the `History` of the last `fit`, also when it was interrupted.
        stop_training, stop_evaluating, stop_predicting: a callback sets this to end `fit`,
            `evaluate` or `predict` after the batch or epoch.
    """

    history: History | None = None
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False

    @checked
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Count | None = None,
        epochs: Natural = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: Natural = 0,
        steps_per_epoch: Count | None = None,
        validation_steps: Count | None = None,
        validation_batch_size: Count | None = None,
        validation_freq: Count | Collection[Count] = 1,
        **unknown: Any,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: inputs, an array of shape (N, ...) of any numeric dtype, a tensor or a list. For
                several inputs a list of them, or a dict by name. Or a source of batches ``(x, y)``
                or ``(x, y, sample_weight)``: a `gradtape.utils.PyDataset`, a generator, a data
                loader, or any iterable.
            y: targets, shape (N, ...); for several outputs a list of them, or a dict by name. A
                source of batches brings its own.
            batch_size: samples in a step. Default: 32. A source of batches has its own.
            epochs: the number of the epoch after which to stop, counted from 1.
            verbose: 0 is silent, 1 shows a bar where one can move and a line per epoch, 2 lines
                only; ``"auto"`` is 1.
            callbacks: a `Callback` or a list of them.
            validation_split: the share of the samples, taken from the end before shuffling, that is
                judged after each epoch instead of being trained on. For arrays only.
            validation_data: ``(x, y)``, ``(x, y, sample_weight)`` or a source of batches, to judge
                after each epoch.
            shuffle: whether every epoch has an order of its own: of the samples, or of the batches
                of a sequence with ``__len__`` and ``__getitem__``. Others come as they come.
            class_weight: from class number to the weight of its samples in the loss.
            sample_weight: the weight of each sample in the loss, shape (N,); for several outputs
                also a list of them, or a dict by name.
            initial_epoch: the number of epochs already done, to resume a run.
            steps_per_epoch: batches in an epoch; the next epoch goes on where this one ended, and
                the data starts anew when it ends. Default: all of them.
            validation_steps: batches to judge, always the first ones. Default: all.
            validation_batch_size: default: `batch_size`.
            validation_freq: judge after every so many epochs, or after those in a list, counted
                from 1.

        Returns:
            The `History`: ``.history`` holds the logs of each epoch by name. A loss is the mean
            over the samples of the epoch.

        Raises:
            ValueError, TypeError: `compile` was not called, or data, labels or settings do not fit.
            KeyboardInterrupt: after Ctrl-C, when the current batch is done; `history` and the
                weights are those up to it.
        """
        refuse_unknown(Trainer.fit, unknown)
        self._compiled("fit")
        first = initial_epoch
        if isinstance(validation_freq, Collection):
            judged = set(validation_freq)
        else:
            judged = set(range(validation_freq, epochs + 1, validation_freq))
        counts = self._counts()
        data = data_for(x, y, sample_weight, batch_size, shuffle, counts=counts)
        held_out = None
        if validation_data is not None:
            held_out = validation_for(validation_data, batch_size, counts)
        elif validation_split:
            if not isinstance(data, ArrayData):
                raise ValueError(
                    f"validation_split takes samples out of arrays; x is a {type(x).__name__}. "
                    "Pass validation_data."
                )
            data, held_out = data.split(validation_split)
        if class_weight is not None:
            data.weigh(class_weight)
        self._inspect(data, "fit")
        rounds, validation = Rounds(data, steps_per_epoch, "steps_per_epoch"), None
        rounds.rewind()
        if held_out is not None:
            if validation_batch_size is not None and isinstance(held_out, ArrayData):
                held_out.batch_size = validation_batch_size
            self._inspect(held_out, "fit")
            validation = Rounds(held_out, validation_steps, "validation_steps")
        self._warn_if_frozen("fit")
        self._build_optimizer()

        history = self.history = History()
        everyone, progress = self._listeners(callbacks, verbose, rounds, epochs, history)
        self.stop_training, idle = False, _Idle(self)
        current = self._round = Round(rounds, everyone.callbacks, isinstance(data, BatchData))
        logs: Logs = {}
        epoch = first
        try:
            with Interrupts() as interrupts:
                everyone.on_train_begin({})
                for epoch in range(first if current.epoch is None else current.epoch, epochs):
                    if self.stop_training and not current.batch:
                        break
                    everyone.on_epoch_begin(epoch, {})
                    progress.begin(f"Epoch {epoch + 1}/{epochs}", rounds.steps)
                    with self._turn:
                        done = self._train_epoch(rounds, epoch, everyone, progress, interrupts)
                    if done is None:
                        break
                    logs = done
                    idle.check()
                    if validation is not None and epoch + 1 in judged:
                        progress.note("validating")
                        with self._turn:
                            values = self._test(validation, everyone, None, interrupts)
                        logs |= {f"val_{name}": value for name, value in values.items()}
                    progress.clear()
                    everyone.on_epoch_end(epoch, logs)
                    progress.end(logs)
                if self.optimizer is not None and self.optimizer.built and epochs > first:
                    self.optimizer.finalize_variable_values(self.trainable_variables)
                everyone.on_train_end(logs)
        except KeyboardInterrupt:
            progress.close()
            progress.say(
                f"Interrupted in epoch {epoch + 1}/{epochs}: the model keeps what it learned, "
                f"model.history the {counted(len(history.epoch), 'finished epoch')}."
            )
            raise
        finally:
            for source in (rounds, validation):
                if source is not None:
                    source.close()
            progress.close()
            self._round = None
        return history

    def _listeners(
        self, callbacks: Any, verbose: Any, rounds: Rounds, epochs: int = 1, *more: Any
    ) -> tuple[CallbackList, Progress]:
        """The callbacks, told what they are about to watch; and what shows it."""
        progress = Progress(check_verbose(verbose))
        params = {"epochs": epochs, "steps": rounds.steps, "verbose": progress.verbose}
        everyone = CallbackList([*CallbackList(callbacks).callbacks, *more], self, **params)
        if everyone.shows_progress:  # one display is enough
            progress = Progress(0)
        return everyone, progress

    def _train_epoch(
        self,
        rounds: Rounds,
        epoch: int,
        callbacks: CallbackList,
        progress: Progress,
        interrupts: Interrupts,
    ) -> Logs | None:
        """Train on the batches of an epoch; the logs at the end, or None if there was no batch."""
        current = self._round or Round(rounds)
        done, current.batch = current.batch, 0  # after a backup was restored, not all batches
        if not done:
            self.reset_metrics()
        current.begin(self.trainable_variables)
        steps_taken = self._moves()
        logs: Logs | None = self.get_metrics_result() if done else None
        together, batch = self.steps_per_execution, done - 1
        repeater = Repeater(self, "train", rounds.data, callbacks.watches_batches)
        batches = rounds.round(epoch, steps_taken, done=done)
        if done and self.stop_training:  # since before the backup in the middle of this epoch
            batches = iter(())
        for batch, parts in enumerate(batches, start=done):
            loss = repeater.judge(parts)
            if loss is None:
                if batch % together == 0:
                    callbacks.on_train_batch_begin(batch, {})
                logs = numbers_of(self.train_step(pack_x_y_sample_weight(*parts)), "train_step")
                if (batch + 1) % together == 0:
                    callbacks.on_train_batch_end(batch, logs)
                loss = logs.get("loss", 0.0)
                repeater.learn()
            progress.step(repeater.logs)
            if current.finite and not math.isfinite(loss):
                current.finite = False
                progress.clear()
                self._explain_loss(loss, epoch, batch, rounds.data)
            interrupts.check()
            if self.stop_training:
                break
        if logs is None:
            self._explain_end(epoch)
            return None
        repeater.catch_up()
        if batch >= done and (batch + 1) % together:
            callbacks.on_train_batch_end(batch, logs)
        return self._final(logs)

    def _final(self, logs: Logs) -> Logs:
        """The logs of an epoch: what the metrics say, if the steps reported just these.

        A step of one's own may report the values of its batch; those of the epoch are then here.
        """
        result = self.get_metrics_result()
        tracked = "loss" not in logs or (self._scores is not None and self._scores.total.count)
        if tracked and set(result) == set(logs):
            return numbers_of(result, "get_metrics_result")
        return dict(logs)

    def _explain_loss(self, loss: float, epoch: int, batch: int, data: Data) -> None:
        rate = f" (it is {self.optimizer.learning_rate:g})" if self.optimizer is not None else ""
        found = data.not_finite() if isinstance(data, ArrayData) else None
        warn(
            f"{found + ' ' if found else ''}The loss became {loss} in epoch {epoch + 1} at batch "
            f"{batch + 1}. Likely causes: a learning rate that is too high{rate}; inputs that are "
            "not finite or not scaled (divide pixels by 255); gradients that explode (optimizer "
            "with clipnorm=1.0). gt.detect_anomaly() finds the op."
        )

    def _explain_end(self, epoch: int) -> None:
        warn(
            f"The data ended, so training ends before epoch {epoch + 1}. A generator can be gone "
            "through only once: let it yield for all epochs and pass steps_per_epoch, or pass a "
            "gt.utils.PyDataset."
        )

    @checked
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Count | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: Count | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
    ) -> Any:
        """The loss and the metrics on data, without learning from it.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as for `fit`.
            steps: batches to judge. Default: all.
            return_dict: whether to return a dict by name.

        Returns:
            The loss, or a list of the loss and each metric, or a dict of them.

        Raises:
            ValueError, TypeError: as for `fit`.
        """
        refuse_unknown(Trainer.evaluate, unknown)
        self._compiled("evaluate")
        data = data_for(x, y, sample_weight, batch_size, counts=self._counts())
        self._inspect(data, "evaluate")
        rounds = Rounds(data, steps)
        everyone, progress = self._listeners(callbacks, verbose, rounds)
        try:
            progress.begin("Evaluate", rounds.steps)
            with self._turn:
                logs = self._test(rounds, everyone, progress)
            progress.end(logs)
        finally:
            rounds.close()
            progress.close()
        return logs if return_dict else flat(logs)

    def _test(
        self,
        rounds: Rounds,
        callbacks: CallbackList,
        progress: Progress | None,
        interrupts: Interrupts | None = None,
    ) -> Logs:
        """Judge every batch; the logs at the end."""
        self.stop_evaluating = False
        callbacks.on_test_begin({})
        before = self._round
        self._round = Round(checks=isinstance(rounds.data, BatchData))
        logs: Logs | None = None
        together, batch = self.steps_per_execution, -1
        repeater = Repeater(self, "test", rounds.data, callbacks.watches_tests)
        try:
            self.reset_metrics()
            rounds.rewind()
            for batch, parts in enumerate(rounds.round()):
                if repeater.judge(parts) is None:
                    if batch % together == 0:
                        callbacks.on_test_batch_begin(batch, {})
                    with no_grad():
                        done = self.test_step(pack_x_y_sample_weight(*parts))
                    logs = numbers_of(done, "test_step")
                    if (batch + 1) % together == 0:
                        callbacks.on_test_batch_end(batch, logs)
                    repeater.learn()
                if progress is not None:
                    progress.step(repeater.logs)
                if interrupts is not None:
                    interrupts.check()
                if self.stop_evaluating:
                    break
            if logs is None:
                raise ValueError(
                    f"{rounds.data.name or 'x'} has no more batches to judge. A generator can be "
                    "gone through only once: let it go on for ever and pass a number of steps, or "
                    "pass a gt.utils.PyDataset."
                )
            repeater.catch_up()
            if (batch + 1) % together:
                callbacks.on_test_batch_end(batch, logs)
            logs = self._final(logs)
        finally:
            self._round = before
        callbacks.on_test_end(logs)
        return logs

    @checked
    def predict(
        self,
        x: Any,
        batch_size: Count | None = None,
        verbose: Any = "auto",
        steps: Count | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """The outputs for inputs, a batch at a time.

        Args:
            x, batch_size, callbacks: as for `fit`; of the batches of a source, only ``x`` counts.
                A source is not told of an epoch: one that shuffles keeps its order, so that the
                predictions are those for the labels that going through it gives.
            verbose: 0 is silent; otherwise a bar runs where one can move, and leaves nothing.
            steps: batches to answer. Default: all.

        Returns:
            An array of shape (N, ...), in the dtype of the model; a list or dict of them if the
            model returns several outputs so.
        """
        refuse_unknown(Trainer.predict, unknown)
        data = data_for(x, batch_size=batch_size, counts=self._counts())
        rounds = Rounds(data, steps, tells=False)  # its order stays that of the labels
        everyone, progress = self._listeners(callbacks, verbose, rounds)
        room = len(data) if isinstance(data, ArrayData) and steps is None else None
        gathered = Outputs(room)
        self.stop_predicting = False
        try:
            progress.begin("Predict", rounds.steps)
            everyone.on_predict_begin({})
            repeater = Repeater(self, "predict", data, everyone.watches_predictions)
            for batch, (part, _, _) in enumerate(rounds.round()):
                done = repeater.run((part, None, None))
                if done is None:
                    everyone.on_predict_batch_begin(batch, {})
                    with no_grad():
                        y_pred = arrays_of(self.predict_step(pack_x_y_sample_weight(part)))
                    everyone.on_predict_batch_end(batch, {"outputs": y_pred})
                    repeater.learn()
                gathered.add(y_pred if done is None else done[1])
                progress.step(dict)
                if self.stop_predicting:
                    break
            everyone.on_predict_end({})
        finally:
            rounds.close()
            progress.close()
        return gathered.whole()

    # One batch

    @checked
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
            sample_weight = weights_of_classes(y, sample_weight, class_weight)
        return self._on_batch("train_on_batch", x, y, sample_weight, return_dict)

    @checked
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss and the metrics on one batch, as `evaluate` returns them."""
        with no_grad():
            return self._on_batch("test_on_batch", x, y, sample_weight, return_dict)

    @checked
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as `predict` returns them."""
        with no_grad():
            data = ArrayData(x, counts=self._counts())
            answer = self.predict_step(pack_x_y_sample_weight(data.x))
            return tree_map(np.copy, arrays_of(answer))

    def _on_batch(self, method: str, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        scores = self._compiled(method)
        data = ArrayData(x, y, sample_weight, counts=self._counts())
        self._need_targets(data.y, scores, method)
        learns = method == "train_on_batch"
        step = self.train_step if learns else self.test_step
        batch = pack_x_y_sample_weight(data.x, data.y, data.sample_weight)
        rounds, moves = kept(self, "_rounds", Own), self._moves()
        before, rounds.value = rounds.value, Round(checks=True)
        try:
            with self._turn:
                self.reset_metrics()
                logs = self._final(numbers_of(step(batch), method))
        finally:
            rounds.value = before
        if learns and moves == self._moves():
            self._warn_if_frozen(method)
        return logs if return_dict else flat(logs)

    def _moves(self) -> int:
        """How often the optimizer has moved the weights."""
        return 0 if self.optimizer is None else self.optimizer.iterations

    def _warn_if_frozen(self, method: str) -> None:
        if self.built and not self.trainable_variables:
            warn(f"The model has no trainable weights: {method}() changes none.")


class _Idle:
    """Notices once, after an epoch, that a `train_step` of a user's own has changed nothing.

    Args:
        model: about to be trained.
    """

    def __init__(self, model: Trainer) -> None:
        self._model = model
        usual = getattr(model.train_step, "__func__", None) is Steps.train_step
        self._before = None if usual else self._state()

    def _state(self) -> tuple[int, list[Array]]:
        return self._model._moves(), [v.data.copy() for v in self._model.trainable_variables]

    def check(self) -> None:
        """Warn if nothing is other than it was."""
        if self._before is None:
            return
        (steps, before), (now, after) = self._before, self._state()
        self._before = None
        same = steps == now and len(before) == len(after) > 0
        if same and all(map(np.array_equal, before, after)):
            warn(
                f"train_step() of {type(self._model).__name__} has changed no weight in an epoch: "
                "it has to apply the gradients, as in self.optimizer.apply(gradients, "
                "self.trainable_variables)."
            )
