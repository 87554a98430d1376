"""`Steps`: how a model was told to learn (`compile`), and what it does with one batch."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from . import optimizers
from .backward import run_backward
from .data import ArrayData
from .optimizers import Optimizer
from .outputs import OutputScores, arrays_of, names_of, samples_in, scores_for
from .scores import Logs, Scores
from .serialization import serialize
from .settings import refuse_unknown
from .tape import no_grad
from .tensor import Tensor, wrap
from .tree import is_structure, tree_leaves
from .variable import Variable


class Round:
    """What `fit` and `evaluate` know for all batches of an epoch.

    Attributes:
        variables: those to train; looked up once an epoch, because looking is slow.
        adds_losses: whether the model adds losses of its own; None before the first batch.
        finite: whether every loss has been, in this `fit`.
    """

    def __init__(self) -> None:
        self.finite = True
        self.begin([])

    def begin(self, variables: list[Variable]) -> None:
        """Start an epoch that trains these variables."""
        self.variables = variables
        self.adds_losses: bool | None = None


class Steps:
    """The part of a model that learns from a batch.

    Attributes:
        optimizer: the one `compile` was given, or None.
        loss: what `compile` was given as loss.
    """

    optimizer: Optimizer | None = None
    loss: Any = None
    _scores: Scores | None = None
    _recipe: dict[str, Any] | None = None
    _round: Round | None = None
    _native: Any = None

    if TYPE_CHECKING:  # what `Layer` brings
        name: str
        built: bool

        def __call__(
            self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any
        ) -> Any: ...
        @property
        def weights(self) -> list[Variable]: ...
        @property
        def trainable_variables(self) -> list[Variable]: ...
        @property
        def losses(self) -> list[Tensor]: ...

    # How to learn

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        metrics: Any = None,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
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

        Raises:
            ValueError, TypeError: an unknown name or argument.
        """
        refuse_unknown(Steps.compile, unknown)
        self._scores = scores_for(
            loss, metrics, weighted_metrics, loss_weights, self._output_names()
        )
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._recipe = {
            "optimizer": self.optimizer,
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "loss_weights": loss_weights,
        }

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._scores is not None

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as plain data; None before it, or if it cannot be plain."""
        if self._recipe is None:
            return None
        try:
            return serialize(self._recipe)
        except TypeError as error:
            warnings.warn(
                f"How the model was compiled is not saved: {error} Call compile() after loading.",
                stacklevel=3,
            )
            return None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        self.compile(**config)
        if self.built:
            self._build_optimizer()

    @property
    def metrics(self) -> list[Any]:
        """The running mean of the loss, and the metrics once data has shown what they are."""
        return self._scores.metrics if self._scores is not None else []

    @property
    def metrics_names(self) -> list[str]:
        """The names of loss and metrics, in the order of what `evaluate` returns."""
        return list(self._scores.result()) if self._scores is not None else []

    def reset_metrics(self) -> None:
        """Forget the batches that loss and metrics have seen."""
        if self._scores is not None:
            self._scores.reset()

    # A step, for subclasses to override

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> Logs:
        """Learn from one batch; returns loss and metrics so far."""
        done = self._natively("train", x, y, sample_weight)
        if done is not None:
            return done
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        variables = self._round.variables if self._round else self.trainable_variables
        if variables and self.optimizer is not None:
            if not self.optimizer.built:
                self._build_optimizer()
            self.optimizer.apply(run_backward([loss], [None], variables), variables)
        self._compiled("train_step").track(loss, samples_in(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> Logs:
        """Judge one batch; returns loss and metrics so far."""
        done = self._natively("test", x, y, sample_weight)
        if done is not None:
            return done
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._compiled("test_step").track(loss, samples_in(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, x: Any) -> Any:
        """The output for one batch."""
        return self._answer(x)

    def _answer(self, x: Any) -> Any:
        """The output for some samples, by a native program where one covers the model."""
        native = self._programs() if self.built else None
        done = None if native is None else native.predict(x)
        return self(x, training=False) if done is None else wrap(done)

    def _programs(self) -> Any:
        """The native programs of this model, or None if there cannot be any."""
        if self._native is None:
            from .program import Native, enabled  # Numba comes with it, so not before it is needed

            self._native = Native(self) if enabled() else False
        return self._native or None

    def _natively(self, what: str, x: Any, y: Any, sample_weight: Any) -> Logs | None:
        """A step by a native program, with what it returns; None if no program covers it."""
        scores, native = self._compiled(f"{what}_step"), self._programs()
        if native is None or scores.loss is None or scores.loss_weight != 1 or not self.built:
            return None
        check = self._round is None
        if what == "test":
            if self._adds_losses():
                return None
            done = native.test(x, y, sample_weight, scores.loss, check)
        else:
            if self.optimizer is not None and not self.optimizer.built:
                self._build_optimizer()
            variables = self._round.variables if self._round else native.trainable(x)
            if variables is None:
                variables = self.trainable_variables
            done = native.train(x, y, sample_weight, scores.loss, self.optimizer, variables, check)
        if done is None:
            return None
        loss, y_pred = (wrap(np.asarray(a)) for a in done)
        scores.track(loss, len(y_pred))
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

        Raises:
            ValueError: there is nothing to compute.
        """
        scores = self._scores_of(y_pred, "compute_loss")
        total = None
        running = self._round
        if scores.loss is not None:  # fit and evaluate have checked the targets before the round
            loss_of = scores.loss if running is None else scores.loss.compute
            total = loss_of(y, y_pred, sample_weight)
            if scores.loss_weight != 1:
                total = total * scores.loss_weight
        if self._adds_losses():
            for loss in self.losses:
                total = loss if total is None else total + loss
        if total is None:
            raise ValueError("There is no loss to compute: pass one to compile(loss=...).")
        return total

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
        return scores.result()

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
        recipe = {k: v for k, v in self._recipe.items() if k != "optimizer"}
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

    def _need_targets(self, data: ArrayData, scores: Scores, method: str) -> None:
        if data.y is None and scores.loss is not None:
            raise ValueError(
                f"{method}() received no targets y, which {type(scores.loss).__name__} compares "
                "the output with. Pass y, or y=x to reproduce the inputs."
            )

    def _inspect(self, data: ArrayData, method: str) -> None:
        """Build the model on a few samples, and refuse targets that do not fit its output."""
        self._need_targets(data, self._compiled(method), method)
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
        if found := data.not_finite():
            warnings.warn(f"{found} The loss will not be finite either.", stacklevel=3)
