"""What every optimizer is: one flat vector of parameters, a learning rate, and a step counter."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..autograd.variable import Variable
from ..config.checked import (
    Count,
    Kind,
    Natural,
    NotNegative,
    Positive,
    Share,
    argument,
    kind_of,
)
from ..config.configured import Configured, arguments_of, said
from ..config.serialization import deserialize
from ..config.tracebacks import warn
from ..constraints import constrain
from ..errors import ShapeError
from .flat import ACCUMULATOR, AVERAGE, Flat, State, clip, refuse_misfit
from .schedules import LearningRateSchedule

Array = np.ndarray
LearningRate = float | LearningRateSchedule | Callable[[], float]

_RATE = Kind(
    "a number that is not negative, a schedule or a function without arguments",
    kind_of(NotNegative).read,
)


class Optimizer(Configured, ABC):
    """Base of all optimizers. A subclass defines `update`, and `slot_names` if it keeps state.

    Args:
        learning_rate: the step size, a schedule of it (see `gradtape.optimizers.schedules`), or a
            function without arguments; `learning_rate` may be set at any time.
        weight_decay: the share of a parameter, times the learning rate, that each step takes off.
        clipnorm: the norm to which the gradient of each variable is cut.
        clipvalue: the absolute value to which each element of the gradients is cut.
        global_clipnorm: the norm to which the gradient of all variables together is cut.
        use_ema: whether to keep a moving average of the parameters (Polyak & Juditsky, 1992), which
            replaces them when `fit` is done.
        ema_momentum: how much of the average a step keeps, 0 to 1.
        ema_overwrite_frequency: replace the parameters every so many steps. Default: only at the
            end.
        loss_scale_factor: what `scale_loss` multiplies a loss with, and `apply` divides gradients
            by.
        gradient_accumulation_steps: update once in so many steps, by the mean of their gradients.
        name: what to call it.

    Attributes:
        settings: the names of a class's own arguments, which are attributes of those names.
        scalars: attributes that change from step to step and are no vectors.
        initial: what a slot starts from, by its name, if that is not 0.

    Raises:
        ValueError: a setting out of range, or more than one way of clipping.
    """

    settings: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    initial: Mapping[str, float] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.settings = tuple(arguments_of(cls, Optimizer))

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: NotNegative | None = None,
        clipnorm: Positive | None = None,
        clipvalue: Positive | None = None,
        global_clipnorm: Positive | None = None,
        use_ema: bool = False,
        ema_momentum: Share = 0.99,
        ema_overwrite_frequency: Count | None = None,
        loss_scale_factor: Positive | None = None,
        gradient_accumulation_steps: Natural | None = None,
        name: str | None = None,
    ) -> None:
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {k: v for k, v in clips.items() if v is not None}
        if len(given) > 1:
            raise ValueError(f"Only one way of clipping can be set, received {given}.")
        if gradient_accumulation_steps == 1:
            raise ValueError("gradient_accumulation_steps must be 2 or more, or None; received 1.")
        self.name = name or type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = bool(use_ema)
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._steps = 0  # calls of `apply`
        self._flats: list[Flat] = []
        self._variables: list[Variable] = []
        self._place: dict[Variable, tuple[int, int]] = {}  # of each: which flat, which there
        self._waiting: State | None = None  # state that came before the variables
        self._missing: set[str] = set()  # variables already reported to have no gradient
        self._undecayed: tuple[list[Variable], list[str]] = ([], [])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={self.learning_rate:g}>"

    @property
    def learning_rate(self) -> float:
        """The step size of the next update."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self._steps))
        return float(rate()) if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, dict):
            value = deserialize(value, "schedule", "schedules")
        if isinstance(value, LearningRateSchedule) or (
            callable(value) and not isinstance(value, (type, Tensor))
        ):
            self._learning_rate = value
            return
        if isinstance(value, (np.ndarray, Tensor)) and value.size == 1:
            value = value.item()
        self._learning_rate = float(argument(type(self).__name__, "learning_rate", value, _RATE))

    @property
    def scheduled(self) -> bool:
        """Whether a schedule or a function says what the learning rate is."""
        return callable(self._learning_rate)

    @property
    def iterations(self) -> int:
        """The number of updates so far; steps that only accumulate gradients do not count."""
        return self._steps // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._steps = int(value) * (self.gradient_accumulation_steps or 1)

    @property
    def built(self) -> bool:
        """Whether it knows its variables."""
        return bool(self._variables)

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is kept for each parameter from step to step."""
        return ()

    @property
    def _kept(self) -> dict[str, float]:
        """`slot_names`, and what is kept whatever the optimizer, with what they start from."""
        common = {AVERAGE: self.use_ema, ACCUMULATOR: bool(self.gradient_accumulation_steps)}
        names = [*self.slot_names, *(name for name, wanted in common.items() if wanted)]
        return {name: self.initial.get(name, 0.0) for name in names}

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        """The numbers that `update` takes in this step, which change from step to step."""
        return ()

    def advance(self) -> None:
        """Called once in a step that updates, before `update`: for what is no vector."""

    @abstractmethod
    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        """Change the weights in place, by whole-vector arithmetic that allocates nothing.

        Where it is elementwise NumPy, native programs make a kernel of it: they call it on arrays
        to come, once in a step; with `factors` and settings alike, one of this package only once.

        Args:
            weights, gradient: a run of the flat vectors, shape (n,), of one dtype.
            slots: the same run of each of `slot_names`, to be updated in place.
            scratch: two more vectors of that shape, of any content.
            learning_rate: the step size.
        """

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the variables views of one contiguous array per dtype, with zeros for their slots.

        Variables known from before keep their slots, and come after these if they are others. A
        setting that asks for other slots than before gets them, too.
        """
        wanted = list(dict.fromkeys([*variables, *self._variables]))
        same = [id(v) for v in wanted] == [id(v) for v in self._variables]
        if same and all([flat.slots.keys() == self._kept.keys() for flat in self._flats]):
            return
        before = [(v, self._slots_of(v)) for v in self._variables]
        self._variables = wanted
        self._flats, self._place = [], {}
        for dtype in dict.fromkeys(v.dtype for v in self._variables):
            of_dtype = [v for v in self._variables if v.dtype == dtype]
            flat = Flat(of_dtype, self._kept, [self._decays(v) for v in of_dtype])
            self._place |= {v: (len(self._flats), i) for i, v in enumerate(flat.variables)}
            self._flats.append(flat)
        for variable, slots in before:
            for name, values in self._slots_of(variable).items():
                if name in slots:
                    values[...] = slots[name]
        if self._waiting is not None:
            state, self._waiting = self._waiting, None
            self.set_state(state)

    def _slots_of(self, variable: Variable) -> State:
        """What is kept of a variable, as views of its shape."""
        number, i = self._place[variable]
        flat = self._flats[number]
        return {name: v[flat.spans[i]].reshape(variable.shape) for name, v in flat.slots.items()}

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> int:
        """One step on pairs of gradient and variable; returns `iterations`. See `apply`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """One step: clip the gradients, decay the weights, update.

        Args:
            grads: the gradient of each variable, a tensor or array of its shape; None skips it.
            trainable_variables: the variables; default: those it was built with. They may be
                others than before: the slots of all are kept.

        Raises:
            ValueError: no variable has a gradient, or their numbers differ.
            ShapeError: a gradient has another shape than its variable.
        """
        variables = self._variables if trainable_variables is None else trainable_variables
        if len(grads) != len(variables):
            raise ValueError(
                f"{type(self).__name__}.apply() received {len(grads)} gradients for "
                f"{len(variables)} variables."
            )
        known = self.built and all([v in self._place for v in variables])
        self.build(() if known else variables)
        self.move(self._gather(grads, variables))

    def move(self, taken: list[list[int]]) -> None:
        """The step of `apply`, on gradients that are in the flat vectors already.

        Args:
            taken: of each flat vector, which of its variables have a gradient, in rising order.
        """
        if self._accumulate(taken):
            self.advance()
            pairs = list(zip(self._flats, taken, strict=True))
            clip(pairs, self.clipvalue, self.clipnorm, self.global_clipnorm)
            rate = self.learning_rate
            for flat, indices in pairs:
                self._decay(flat, indices, rate)
                for run in flat.runs(indices):
                    scratch = flat.scratch[0][run], flat.scratch[1][run]
                    slots = {name: flat.slots[name][run] for name in self.slot_names}
                    self.update(flat.values[run], flat.gradient[run], slots, scratch, rate)
        self._average(self._flats)
        self._finish(
            [flat.variables[i] for flat, own in zip(self._flats, taken, strict=True) for i in own]
        )

    def _finish(self, variables: list[Variable]) -> None:
        """The end of a step: constraints, and the count."""
        constrain(variables)
        self._steps += 1

    @property
    def _updates(self) -> bool:
        """Whether the next step updates, rather than only accumulating gradients."""
        steps = self.gradient_accumulation_steps
        return not steps or (self._steps + 1) % steps == 0

    def _accumulate(self, taken: list[list[int]]) -> bool:
        """Add the gradients to those that wait; whether it is time to use their mean."""
        steps = self.gradient_accumulation_steps
        if not steps:
            return True
        for flat, indices in zip(self._flats, taken, strict=True):
            for run in flat.runs(indices):
                waiting = flat.slots[ACCUMULATOR][run]
                waiting += flat.gradient[run]
                np.multiply(waiting, 1 / steps, out=flat.gradient[run])
            if self._updates:
                flat.slots[ACCUMULATOR][:] = 0
        return self._updates

    def _decay(self, flat: Flat, indices: list[int], rate: float) -> None:
        """Take their share off the weights."""
        if share := (self.weight_decay or 0.0) * rate:
            for run in flat.runs([i for i in indices if flat.decays[i]]):
                weights = flat.values[run]
                weights -= np.multiply(weights, share, out=flat.scratch[0][run])

    @property
    def _average_keeps(self) -> float:
        """How much of the moving average this step keeps."""
        return self.ema_momentum if self.iterations else 0.0

    @property
    def _overwrites(self) -> bool:
        """Whether this step ends with the average as the parameters."""
        every = self.ema_overwrite_frequency
        return bool(every) and (self.iterations + 1) % (every or 1) == 0

    def _average(self, flats: list[Flat]) -> None:
        """Move the averages, and the parameters to them if it is time to."""
        if not self.use_ema:
            return
        keep = self._average_keeps
        for flat in flats:
            average = flat.slots[AVERAGE]
            average *= keep
            average += np.multiply(flat.values, 1 - keep, out=flat.scratch[0])
            if self._overwrites:
                flat.values[:] = average

    def average_of(self, variable: Variable) -> Array:
        """The moving average of a variable, in its shape: a copy (with `use_ema`).

        Raises:
            ValueError: there is none.
        """
        if not self.use_ema or variable not in self._place:
            why = "use_ema is False" if not self.use_ema else "it was not built with this variable"
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has no average of {variable.path!r}: {why}."
            )
        return self._slots_of(variable)[AVERAGE].copy()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Put the moving averages into the variables (with `use_ema`; otherwise nothing).

        `fit` does so when it is done.

        Raises:
            ValueError: the optimizer was not built with one of them.
        """
        if self.use_ema:
            for variable in var_list:
                variable.assign(self.average_of(variable))

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`, which `apply` expects the gradients to be of."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Spare some variables the weight decay; to be called before `build`.

        Args:
            var_list: the variables.
            var_names: patterns: a variable is spared if one of them is found in its name, as
                ``"bias"`` is in those of all biases.

        Raises:
            ValueError: the optimizer is built already.
        """
        if self.built:
            raise ValueError(
                "exclude_from_weight_decay() must be called before the optimizer is built, which "
                "fit() and the first apply() do."
            )
        self._undecayed = list(var_list or ()), list(var_names or ())

    def _decays(self, variable: Variable) -> bool:
        spared, patterns = self._undecayed
        named = any(re.search(pattern, variable.name) for pattern in patterns)
        return not named and not any(variable is v for v in spared)

    def _gather(self, grads: Sequence[Any], variables: Sequence[Variable]) -> list[list[int]]:
        """Copy the gradients into the flat vectors; which variables of each have one."""
        for flat in self._flats:
            flat.attach()
        taken: list[list[int]] = [[] for _ in self._flats]
        missing = []
        for gradient, variable in zip(grads, variables, strict=True):
            if gradient is None:
                missing.append(variable.path)
                continue
            values = gradient.data if isinstance(gradient, Tensor) else np.asarray(gradient)
            if values.shape != variable.shape:
                raise ShapeError(
                    f"The gradient of {variable.path!r} must have its shape {variable.shape}, "
                    f"received {values.shape}."
                )
            number, i = self._place[variable]
            flat = self._flats[number]
            flat.gradient[flat.spans[i]] = values.reshape(-1)
            if self.loss_scale_factor is not None:
                flat.gradient[flat.spans[i]] /= self.loss_scale_factor
            variable._memory.version += 1  # a graph that still holds it must not be walked again
            taken[number].append(i)
        if missing:
            self._report(missing, len(variables))
        return [sorted(indices) for indices in taken]

    def _report(self, missing: list[str], count: int) -> None:
        """Say once which variables have no gradient."""
        if len(missing) == count:
            raise ValueError(
                "No variable has a gradient. Does the loss depend on the model's output, and is it "
                "computed in gt.ops, outside of gt.no_grad()?"
            )
        if not self._missing.issuperset(missing):
            self._missing.update(missing)
            warn(
                f"The loss does not depend on {', '.join(missing)}: without a gradient they are "
                "not trained."
            )

    def get_state(self) -> State:
        """Everything that changes from step to step, as arrays that belong to the caller.

        Returns:
            ``iterations`` (calls of `apply`), ``learning_rate``, `scalars`, and for the i-th
            variable ``"i/slot"`` of its shape.
        """
        if self._waiting is not None:
            return {k: v.copy() for k, v in self._waiting.items()}
        state = {"iterations": np.array(self._steps), "learning_rate": np.array(self.learning_rate)}
        state |= {name: np.array(getattr(self, name)) for name in self.scalars}
        return state | {key: values.copy() for key, values in self._slots().items()}

    def set_state(self, state: State) -> None:
        """Go on from what `get_state` returned; before `build`, as soon as the variables are known.

        Raises:
            ValueError: the state is of another optimizer, or of other variables.
        """
        if not self.built:
            self._waiting = {k: np.array(v) for k, v in state.items()}
        else:
            own, slots = self.get_state(), self._slots()
            if not any("/" in key for key in state):  # it had not seen its variables yet
                state = {**{k: self._fresh(k, v) for k, v in slots.items()}, **state}
            refuse_misfit(state, own, type(self).__name__, len(self._variables))
            for key, values in slots.items():
                values[...] = state[key]
        self._steps = int(state["iterations"])
        for name in self.scalars:
            setattr(self, name, float(state[name]))
        if not self.scheduled:  # a schedule knows by itself
            self.learning_rate = float(state["learning_rate"])

    def _slots(self) -> State:
        """What is kept of all variables, as views, by the keys of `get_state`."""
        every = [(i, self._slots_of(variable)) for i, variable in enumerate(self._variables)]
        return {f"{i}/{name}": values for i, slots in every for name, values in slots.items()}

    def _fresh(self, key: str, now: Array) -> Array:
        """What a vector of the state is before the first step."""
        name = key.partition("/")[2]
        return now if name == AVERAGE else np.full_like(now, self._kept[name])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, without its state."""
        return {
            "name": self.name,
            "learning_rate": self._learning_rate,
            **{name: getattr(self, name) for name in COMMON},
            **said(self, Optimizer),
        }

    def check(self) -> None:
        """Called when the settings are there: refuses those out of range with a ValueError."""


#: The arguments of every optimizer but for learning rate and name.
COMMON = tuple(inspect.signature(Optimizer.__init__).parameters)[2:-1]
