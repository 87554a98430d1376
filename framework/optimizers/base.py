"""What every optimizer is: one flat vector of parameters, a learning rate, and a step counter."""

from __future__ import annotations

import math
import numbers
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..serialization import deserialize
from ..tensor import Tensor
from ..variable import Variable
from .schedules import LearningRateSchedule

Array = np.ndarray
State = dict[str, Array]


class Flat:
    """Variables of one dtype, end to end in one array that they become views of.

    Gradients, slots and scratch space lie alike, so an update is arithmetic on whole vectors.
    """

    def __init__(self, variables: Sequence[Variable], slots: Iterable[str]) -> None:
        self.variables = list(variables)
        ends = np.cumsum([v.size for v in variables]).tolist()
        self.spans = [slice(end - v.size, end) for v, end in zip(variables, ends, strict=True)]
        size, dtype = ends[-1], variables[0].dtype
        self.values = np.empty(size, dtype)
        self.gradient = np.zeros(size, dtype)
        self.slots = {name: np.zeros(size, dtype) for name in slots}
        self.scratch = (np.empty(size, dtype), np.empty(size, dtype))
        self.attach()

    def attach(self) -> None:
        """Take in every variable whose values are elsewhere: new, copied, or taken by another."""
        for variable, span in zip(self.variables, self.spans, strict=True):
            if variable.data.base is not self.values:
                self.values[span] = variable.data.reshape(-1)
                variable.data = self.values[span].reshape(variable.shape)

    def runs(self, indices: list[int]) -> list[slice]:
        """The fewest slices that cover these variables, given in rising order."""
        if len(indices) == len(self.spans):
            return [slice(0, len(self.values))]
        found: list[slice] = []
        for i in indices:
            span = self.spans[i]
            if found and found[-1].stop == span.start:
                span = slice(found.pop().start, span.stop)
            found.append(span)
        return found


class Optimizer(ABC):
    """Base of all optimizers. A subclass defines `update`, and `slot_names` if it keeps state.

    Args:
        learning_rate: the step size, or a schedule of it (see `gradtape.optimizers.schedules`);
            `learning_rate` may be set at any time.
        weight_decay: the share of a parameter, times the learning rate, that each step takes off.
        clipnorm: the norm to which the gradient of each variable is cut.
        clipvalue: the absolute value to which each element of the gradients is cut.
        global_clipnorm: the norm to which the gradient of all variables together is cut.
        name: what to call it.

    Attributes:
        iterations: the number of steps taken.

    Raises:
        ValueError: a setting out of range, or more than one way of clipping.
    """

    _learning_rate: float | LearningRateSchedule

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {k: v for k, v in clips.items() if v is not None}
        if len(given) > 1:
            raise ValueError(f"Only one way of clipping can be set, received {given}.")
        for key, value in given.items():
            if not value > 0:
                raise ValueError(f"{key} must be positive, received {value}.")
        self.name = name or type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self._flats: list[Flat] = []
        self._variables: list[Variable] = []
        self._place: dict[Variable, tuple[int, int]] = {}  # of each: which flat, which there
        self._waiting: State | None = None  # state that came before the variables
        self._missing: set[str] = set()  # variables already reported to have no gradient

    def __repr__(self) -> str:
        return f"<{type(self).__name__} learning_rate={self.learning_rate:g}>"

    @property
    def learning_rate(self) -> float:
        """The step size of the next update."""
        rate = self._learning_rate
        return rate(self.iterations) if isinstance(rate, LearningRateSchedule) else rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, dict):
            value = deserialize(value, "schedule", "schedules")
        if isinstance(value, LearningRateSchedule):
            self._learning_rate = value
            return
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            value = value.item() if isinstance(value, (np.ndarray, Tensor)) else value
            if not isinstance(value, numbers.Real):
                raise TypeError(
                    f"A learning rate must be a number or a schedule, received {value!r}."
                )
        value = float(value)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"A learning rate must be finite and not negative, received {value}.")
        self._learning_rate = value

    @property
    def built(self) -> bool:
        """Whether it knows its variables."""
        return bool(self._variables)

    @property
    def slot_names(self) -> tuple[str, ...]:
        """What is kept for each parameter from step to step."""
        return ()

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

        Args:
            weights, gradient: a run of the flat vectors, shape (n,), of one dtype.
            slots: the same run of each of `slot_names`, to be updated in place.
            scratch: two more vectors of that shape, of any content.
            learning_rate: the step size.
        """

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the variables views of one contiguous array per dtype, with zeros for their slots.

        Variables known from before keep their slots, and come after these if they are others.
        """
        wanted = list(dict.fromkeys([*variables, *self._variables]))
        if [id(v) for v in wanted] == [id(v) for v in self._variables]:
            return
        before = self._state_of_variables()
        self._variables = wanted
        self._flats, self._place = [], {}
        for dtype in dict.fromkeys(v.dtype for v in self._variables):
            flat = Flat([v for v in self._variables if v.dtype == dtype], self.slot_names)
            self._place |= {v: (len(self._flats), i) for i, v in enumerate(flat.variables)}
            self._flats.append(flat)
        self._fill(before)
        if self._waiting is not None:
            state, self._waiting = self._waiting, None
            self.set_state(state)

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
        if not self.built or any([v not in self._place for v in variables]):
            self.build(variables)
        taken = self._gather(grads, variables)
        self._clip(taken)
        decay = (self.weight_decay or 0.0) * self.learning_rate
        for flat, indices in zip(self._flats, taken, strict=True):
            for run in flat.runs(indices):
                weights = flat.values[run]
                scratch = flat.scratch[0][run], flat.scratch[1][run]
                if decay:
                    weights -= np.multiply(weights, decay, out=scratch[0])
                slots = {name: values[run] for name, values in flat.slots.items()}
                self.update(weights, flat.gradient[run], slots, scratch, self.learning_rate)
        self.iterations += 1

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
            variable._version += 1  # a graph that still holds it must not be walked again
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
            warnings.warn(
                f"The loss does not depend on {', '.join(missing)}: without a gradient they are "
                "not trained.",
                stacklevel=4,
            )

    def _clip(self, taken: list[list[int]]) -> None:
        """Cut the gathered gradients, in place."""
        pairs = list(zip(self._flats, taken, strict=True))
        if self.clipvalue is not None:
            for flat, _ in pairs:
                np.clip(flat.gradient, -self.clipvalue, self.clipvalue, out=flat.gradient)
        elif self.clipnorm is not None:
            for flat, indices in pairs:
                for i in indices:
                    part = flat.gradient[flat.spans[i]]
                    part *= self.clipnorm / max(math.sqrt(np.dot(part, part)), self.clipnorm)
        elif self.global_clipnorm is not None:
            parts = [flat.gradient[run] for flat, indices in pairs for run in flat.runs(indices)]
            norm = math.sqrt(sum(float(np.dot(part, part)) for part in parts))
            for part in parts:
                part *= self.global_clipnorm / max(norm, self.global_clipnorm)

    def _state_of_variables(self) -> dict[Variable, State]:
        return {
            v: {name: values[flat.spans[i]].copy() for name, values in flat.slots.items()}
            for v, (number, i) in self._place.items()
            for flat in [self._flats[number]]
        }

    def _fill(self, states: dict[Variable, State]) -> None:
        for variable, state in states.items():
            number, i = self._place[variable]
            flat = self._flats[number]
            for name, values in state.items():
                flat.slots[name][flat.spans[i]] = values

    def get_state(self) -> State:
        """Everything that changes from step to step, as arrays that belong to the caller.

        Returns:
            ``iterations``, ``learning_rate``, and for the i-th variable ``"i/slot"`` of its shape.
        """
        if self._waiting is not None:
            return {k: v.copy() for k, v in self._waiting.items()}
        state = {
            "iterations": np.array(self.iterations),
            "learning_rate": np.array(self.learning_rate),
        }
        for i, (variable, slots) in enumerate(self._state_of_variables().items()):
            for name, values in slots.items():
                state[f"{i}/{name}"] = values.reshape(variable.shape)
        return state

    def set_state(self, state: State) -> None:
        """Go on from what `get_state` returned; before `build`, as soon as the variables are known.

        Raises:
            ValueError: the state is of another optimizer, or of other variables.
        """
        if not self.built:
            self._waiting = {k: np.array(v) for k, v in state.items()}
        else:
            own = self.get_state()
            if not any("/" in key for key in state):  # it had not seen its variables yet
                fresh = {k: np.zeros_like(v) for k, v in own.items() if "/" in k}
                state = {**fresh, **state}
            if own.keys() != state.keys():
                odd = sorted(own.keys() ^ state.keys())
                raise ValueError(
                    f"The state does not fit {type(self).__name__} with {len(self._variables)} "
                    f"variables: {', '.join(odd[:6])}{'...' if len(odd) > 6 else ''} "
                    f"{'is' if len(odd) == 1 else 'are'} in only one of the two."
                )
            for key, values in own.items():
                if np.shape(state[key]) != values.shape:
                    raise ValueError(
                        f"The state {key!r} of {type(self).__name__} has shape "
                        f"{np.shape(state[key])}, expected {values.shape}."
                    )
            self._fill(
                {
                    variable: {n: np.ravel(state[f"{i}/{n}"]) for n in self.slot_names}
                    for i, variable in enumerate(self._variables)
                }
            )
        self.iterations = int(state["iterations"])
        if not isinstance(self._learning_rate, LearningRateSchedule):  # which knows by itself
            self.learning_rate = float(state["learning_rate"])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, without its state."""
        return {
            "name": self.name,
            "learning_rate": self._learning_rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """An optimizer from what `get_config` returned."""
        return cls(**config)
