"""`Steps`: how a model was told to learn (`compile`), and what it does with one batch."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses, optimizers
from ..autograd.backward import run_backward
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, wrap
from ..autograd.tree import is_structure, tree_leaves, tree_map
from ..autograd.variable import Variable
from ..callbacks.base import Callback
from ..config.checked import Count, checked
from ..config.interrupts import deferred
from ..config.owned import Found, owned
from ..config.serialization import serialize
from ..config.settings import accepts, refuse_unknown, wants_programs
from ..config.tracebacks import warn
from ..config.turns import Own, Turn, kept
from ..data.data import unpack_x_y_sample_weight
from ..data.feeding import Data, Rounds
from ..layers.added import any_added
from ..layers.base import Layer
from ..metrics import Metric, resolved
from ..optimizers import Optimizer
from .outputs import OutputScores, arrays_of, by_entry, names_of, samples_in, scores_for
from .scores import Logs, Scores


class Round:
    """What `fit` and `evaluate` know for all batches of an epoch.

    Args:
        rounds: where `fit` takes its batches from.
        callbacks: those of `fit`.
        checks: whether each batch has to be checked against its predictions, because not all
            samples were looked at beforehand.

    Attributes:
        variables: those to train; looked up once an epoch, because looking is slow. None: the
            model's, whichever they are.
        adds_losses: whether the model adds losses of its own; None before the first batch.
        own_metrics: metrics that `compile` was not given; None before the first batch.
        finite: whether every loss has been, in this `fit`.
        epoch, batch: with which `fit` goes on after a backup was restored, else None and 0.
    """

    def __init__(
        self,
        rounds: Rounds | None = None,
        callbacks: Sequence[Callback] = (),
        checks: bool = False,
    ) -> None:
        self.rounds = rounds
        self.callbacks = callbacks
        self.checks = checks
        self.finite = True
        self.epoch: int | None = None
        self.batch = 0
        self.begin()

    def begin(self, variables: list[Variable] | None = None) -> None:
        """Start an epoch that trains these variables."""
        self.variables = variables
        self.adds_losses: bool | None = None
        self.own_metrics: list[Metric] | None = None


#: The arguments of `compile` that make the scores.
_SCORED = ("loss", "loss_weights", "metrics", "weighted_metrics")


class Steps(Layer):
    """A layer that learns from a batch.

    Attributes:
        optimizer: the one `compile` was given, or None.
        loss: what `compile` was given as loss.
        run_eagerly: whether every step is computed op by op, without native programs. May be set.
        steps_per_execution: the batches between two calls of a callback's batch hooks.
    """

    optimizer: Optimizer | None = None
    loss: Any = None
    run_eagerly: bool = False
    steps_per_execution: int = 1
    jit_compile: Any = "auto"
    auto_scale_loss: bool = True
    _scores: Scores | None = None
    _recipe: UserDict[str, Any] | None = None
    _native: Any = None

    # Threads

    @property
    def _turn(self) -> Turn:
        """Held by whoever goes through batches: the metrics are those of one pass at a time."""
        return kept(self, "_turns", Turn)

    @property
    def _round(self) -> Round | None:
        """The round that this thread is in."""
        return kept(self, "_rounds", Own).value

    @_round.setter
    def _round(self, running: Round | None) -> None:
        kept(self, "_rounds", Own).value = running

    # How to learn

    @checked
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: Count = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Say how to train and what to watch.

        Args:
            optimizer: a name or an `Optimizer`.
            loss: a name, a `Loss`, or a function of (y_true, y_pred) to the values of samples. For
                several outputs one for all, or a list, or a dict by the names of the outputs.
            metrics: names, metrics, or functions of (y_true, y_pred) as arrays. ``"accuracy"`` is
                binary, categorical or sparse categorical accuracy, by the shapes of the data. For
                several outputs a list with the metrics of each, or a dict by name.
            weighted_metrics: metrics that count each sample with its weight.
            loss_weights: for several outputs, a factor for each loss in their sum.
            run_eagerly: whether to compute op by op, without native programs, so that a debugger
                sees every layer.
            steps_per_execution: the batches between two calls of a callback's batch hooks.
            jit_compile: accepted: True, False and ``"auto"`` are the same, because a native
                program is used wherever one covers the step; `run_eagerly` turns them off.
            auto_scale_loss: accepted: only half precision would need it.

        Raises:
            ValueError, TypeError: an unknown name or argument.
        """
        refuse_unknown(Steps.compile, unknown)
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"jit_compile must be True, False or 'auto', received {jit_compile!r}."
            )
        loss = by_entry(loss, losses.resolved)
        metrics, weighted_metrics = (
            by_entry(given, resolved) for given in (metrics, weighted_metrics)
        )
        self._scores = scores_for(
            loss, metrics, weighted_metrics, loss_weights, self._output_names()
        )
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        settings = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        for name, value in settings.items():
            setattr(self, name, value)
        recipe = {
            "optimizer": self.optimizer,
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "loss_weights": loss_weights,
            **settings,
        }
        self._recipe = UserDict(recipe)  # no dict: its metrics are not among the model's own

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._scores is not None

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as plain data; None before it, or if it cannot be plain."""
        if self._recipe is None:
            return None
        try:
            return serialize(self._recipe.data)
        except TypeError as error:
            warn(f"How the model was compiled is not saved: {error} Call compile() after loading.")
            return None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        self.compile(**config)
        if self.built:
            self._build_optimizer()

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss, and the metrics once data has shown what they are.

        Then come those among the attributes of the model, of its layers and of its losses: `fit`
        resets and reports them, too.
        """
        return [*(self._scores.metrics if self._scores is not None else []), *self._own_metrics()]

    def _own_metrics(self) -> list[Metric]:
        """The metrics that `compile` was not given; looked up once a round."""
        running = self._round
        if running is not None and running.own_metrics is not None:
            return running.own_metrics
        known, scores = kept(self, "_metrics_found", Own), self._scores
        if known.value is None or not known.value.still():
            losses = [] if scores is None else scores.losses
            parts = self._inventory()
            found = parts.metrics | {id(m): m for loss in losses for m in owned(loss, Metric)}
            known.value = Found([*parts.layers.values(), *losses], list(found.values()))
        own = known.value.found
        if own and scores is not None:
            own = [m for m in own if not any(m is given for given in scores.metrics)]
        if running is not None:
            running.own_metrics = own
        return own

    @property
    def metrics_names(self) -> list[str]:
        """The names of loss and metrics, in the order of what `evaluate` returns."""
        return list(self.get_metrics_result()) if self._scores is not None else []

    def reset_metrics(self) -> None:
        """Forget the batches that loss and metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()
        if self._scores is not None:
            self._scores.reset()

    def get_metrics_result(self) -> Logs:
        """Loss and metrics so far, by name."""
        logs = self._scores.result() if self._scores is not None else {}
        for metric in self._own_metrics():
            value = metric.result()
            logs.update(value if isinstance(value, dict) else {metric.name: value})
        return logs

    # A step, for subclasses to override

    def train_step(self, data: Any) -> Logs:
        """Learn from one batch; returns loss and metrics so far.

        A subclass may override this. Whatever it computes with tensors has gradients:

            def train_step(self, data):
                x, y = data
                with gt.GradientTape() as tape:
                    y_pred = self(x, training=True)
                    loss = self.compute_loss(y=y, y_pred=y_pred)
                variables = self.trainable_variables
                self.optimizer.apply(tape.gradient(loss, variables), variables)
                for metric in self.metrics:
                    if metric.name == "loss":
                        metric.update_state(loss)
                    else:
                        metric.update_state(y, y_pred)
                return {m.name: m.result() for m in self.metrics}

        Args:
            data: the batch in arrays: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, as it was
                given to `fit`; see `gradtape.utils.unpack_x_y_sample_weight`.

        Returns:
            Numbers by name, for callbacks and the `History`.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        done = self._natively("train", x, y, sample_weight) if self._usual_loss() else None
        if done is not None:
            return done
        y_pred = self(x, training=True)
        loss = self._compute_loss(x, y, y_pred, sample_weight, True)
        variables = self._round.variables if self._round else None
        variables = self.trainable_variables if variables is None else variables
        if self.optimizer is None:
            raise ValueError(
                "The model has no optimizer, so it learns nothing: pass one to compile(optimizer="
                "...), or define a train_step() that does without."
            )
        if variables:
            if not self.optimizer.built:
                self._build_optimizer()
            scaled = self.optimizer.scale_loss(loss)
            self.optimizer.apply(run_backward([scaled], [None], variables), variables)
        self._compiled("train_step").track(loss, samples_in(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> Logs:
        """Judge one batch; returns loss and metrics so far. `data` is that of `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        done = self._natively("test", x, y, sample_weight) if self._usual_loss() else None
        if done is not None:
            return done
        y_pred = self(x, training=False)
        loss = self._compute_loss(x, y, y_pred, sample_weight, False)
        self._compiled("test_step").track(loss, samples_in(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The output for one batch. `data` is that of `train_step`; only `x` counts."""
        return self._answer(unpack_x_y_sample_weight(data)[0])

    def _answer(self, x: Any) -> Any:
        """The output for some samples, by a native program where one covers the model."""
        native = self._programs() if self.built else None
        done = None if native is None else native.predict(x)
        return self(x, training=False) if done is None else tree_map(wrap, done)

    def _programs(self) -> Any:
        """The native programs of this model, or None if there cannot be any."""
        if self.run_eagerly:
            return None
        if self._native is None:
            self._native = False
            if wants_programs():
                with deferred():  # Numba comes with it, so not before it is needed
                    from ..program import Native, enabled
                self._native = Native(self) if enabled() else False
        return self._native or None

    def _natively(self, what: str, x: Any, y: Any, sample_weight: Any) -> Logs | None:
        """A step by a native program, with what it returns; None if no program covers it."""
        scores, native = self._compiled(f"{what}_step"), self._programs()
        if native is None or scores.loss is None or not self.built:
            return None
        running, rows = self._round, scores.by_output(y, sample_weight)
        checks = running is None or running.checks
        if what == "test":
            done = native.test(x, rows, checks)
        else:
            if self.optimizer is not None and not self.optimizer.built:
                self._build_optimizer()
            variables = running.variables if running else None
            done = native.train(x, rows, self.optimizer, variables, checks)
        if done is None:
            return None
        y_pred = tree_map(wrap, done.outputs)
        scores = self._scores_of(y_pred, f"{what}_step")
        scores.remember(done.losses)
        scores.track(wrap(np.asarray(done.loss)), samples_in(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of one batch, and what the model adds to it: a tensor of one element.

        A subclass may override this, with all or some of the arguments.

        Args:
            x, y, y_pred, sample_weight: the batch, and what the model made of `x`.
            training: whether it is computed to learn from it.

        Raises:
            ValueError: there is nothing to compute.
        """
        scores = self._scores_of(y_pred, "compute_loss")
        total = None
        running = self._round
        if scores.loss is not None:
            self._need_targets(y, scores, "compute_loss")
            # fit and evaluate have checked the targets in arrays before the round
            checked = running is not None and not running.checks
            loss_of = scores.loss.compute if checked else scores.loss
            total = loss_of(y, y_pred, sample_weight)
            if scores.loss_weight != 1:
                total = total * scores.loss_weight
        if any_added() or self._adds_losses():
            for loss in self.losses:
                total = loss if total is None else total + loss
        if total is None:
            raise ValueError("There is no loss to compute: pass one to compile(loss=...).")
        return total

    def _usual_loss(self) -> bool:
        """Whether the loss is that of `compile`, which a program may compute."""
        return type(self).compute_loss is Steps.compute_loss and "compute_loss" not in vars(self)

    def _compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """`compute_loss`, which a subclass may have defined without `training`, as in Keras 3.0."""
        batch = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        if self._usual_loss() or accepts(self.compute_loss, "training"):
            return self.compute_loss(**batch, training=training)
        return self.compute_loss(**batch)

    def _adds_losses(self) -> bool:
        """Whether the model adds losses of its own; found out once a round."""
        running = self._round
        if running is None:
            return bool(self.losses)
        if running.adds_losses is None:
            running.adds_losses = bool(self.losses)
        return running.adds_losses

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Logs:
        """Add a batch to the metrics; returns loss and metrics so far."""
        scores = self._scores_of(y_pred, "compute_metrics")
        scores.update(y, arrays_of(y_pred), sample_weight)
        return self.get_metrics_result()

    # Before any of it

    def _compiled(self, method: str) -> Scores:
        if self._scores is None:
            raise ValueError(
                f"{type(self).__name__}.{method}() needs to know the loss and the optimizer: call "
                "compile(optimizer, loss) first."
            )
        return self._scores

    def _scores_of(self, y_pred: Any, method: str) -> Scores:
        """The scores for these predictions, which may be the first to show several outputs."""
        scores = self._compiled(method)
        if isinstance(y_pred, Tensor) or isinstance(scores, OutputScores):
            return scores
        if self._recipe is None or not is_structure(y_pred):
            return scores
        recipe = {k: self._recipe[k] for k in _SCORED}
        self._scores = OutputScores(**recipe, names=names_of(y_pred))
        return self._scores

    def _output_names(self) -> list[str] | None:
        """What the outputs are called in logs; None if the model cannot tell before it has run."""
        return None

    def _build_optimizer(self) -> None:
        """Give the optimizer every parameter, so that freezing one does not change its state."""
        parameters = [v for v in self.weights if v._learnable]
        if self.optimizer is not None and parameters:
            self.optimizer.build(parameters)

    def _counts(self) -> tuple[int | None, int | None]:
        """How many inputs and outputs the model has; None if it cannot tell before it has run."""
        return None, None

    def _need_targets(self, y: Any, scores: Scores, method: str) -> None:
        if y is None and scores.loss is not None and self._usual_loss():
            raise ValueError(
                f"{method}() received no targets y, which {type(scores.loss).__name__} compares "
                "the output with. Pass y, or y=x to reproduce the inputs."
            )

    def _inspect(self, source: Data, method: str) -> None:
        """Build the model on a few samples, and refuse targets that do not fit its output."""
        with self._turn:
            data = source.sample()
            self._need_targets(data.y, self._compiled(method), method)
            few = data.part(slice(min(len(data), data.batch_size, 8)))[0]
            with no_grad():
                y_pred = self._answer(few)
            scores, count = self._scores_of(y_pred, method), samples_in(few)
            wrong = [y for y in tree_leaves(y_pred) if getattr(y, "shape", ())[:1] != (count,)]
            if wrong:
                first = wrong[0]
                got = f"shape {first.shape}" if isinstance(first, Tensor) else type(first).__name__
                raise ValueError(
                    f"{method}() needs a model that returns tensors whose axis 0 is that of the "
                    f"samples; for {count} samples {type(self).__name__} returned {got}."
                )
            last = (getattr(self, "_layers", None) or [self])[-1]
            output = f"the output of {type(last).__name__} {last.name!r}"
            scores.check(data.y, y_pred, len(data), output)
            for loss, predictions, named in scores.judged(y_pred, output):
                loss.check_predictions(predictions, named)
            if found := data.not_finite(glance=True):
                warn(f"{found} The loss will not be finite either.")
