"""`Stateful`: what an optimizer carries from step to step, out into arrays and in again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.variable import Variable
from .flat import AVERAGE, Flat

Array = np.ndarray
State = dict[str, Array]


class Stateful:
    """The part of an optimizer that is saved with a model.

    Attributes:
        scalars: attributes that change from step to step and are no vectors.
    """

    scalars: tuple[str, ...] = ()

    learning_rate: float
    _steps: int
    _learning_rate: Any
    _flats: list[Flat]
    _variables: list[Variable]
    _place: dict[Variable, tuple[int, int]]
    _waiting: State | None

    if TYPE_CHECKING:

        @property
        def built(self) -> bool: ...
        @property
        def _kept(self) -> dict[str, float]: ...

    @property
    def scheduled(self) -> bool:
        """Whether a schedule or a function says what the learning rate is."""
        return callable(self._learning_rate)

    def _state_of_variables(self) -> dict[Variable, State]:
        return {
            v: {name: values[flat.spans[i]].copy() for name, values in flat.slots.items()}
            for v in self._variables
            for number, i in [self._place[v]]
            for flat in [self._flats[number]]
        }

    def _fill(self, states: dict[Variable, State]) -> None:
        for variable, state in states.items():
            number, i = self._place[variable]
            flat = self._flats[number]
            for name in state.keys() & flat.slots.keys():
                flat.slots[name][flat.spans[i]] = state[name]

    def get_state(self) -> State:
        """Everything that changes from step to step, as arrays that belong to the caller.

        Returns:
            ``iterations`` (calls of `apply`), ``learning_rate``, `scalars`, and for the i-th
            variable ``"i/slot"`` of its shape.
        """
        if self._waiting is not None:
            return {k: v.copy() for k, v in self._waiting.items()}
        state = {
            "iterations": np.array(self._steps),
            "learning_rate": np.array(self.learning_rate),
            **{name: np.array(getattr(self, name)) for name in self.scalars},
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
                state = {**{k: self._fresh(k, v) for k, v in own.items() if "/" in k}, **state}
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
                    variable: {n: np.ravel(state[f"{i}/{n}"]) for n in self._kept}
                    for i, variable in enumerate(self._variables)
                }
            )
        self._steps = int(state["iterations"])
        for name in self.scalars:
            setattr(self, name, float(state[name]))
        if not self.scheduled:  # a schedule knows by itself
            self.learning_rate = float(state["learning_rate"])

    def _fresh(self, key: str, now: Array) -> Array:
        """What a vector of the state is before the first step."""
        name = key.partition("/")[2]
        return now if name == AVERAGE else np.full_like(now, self._kept[name])
