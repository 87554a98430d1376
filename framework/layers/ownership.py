"""`Owner`: whatever has variables, of its own and in the layers among its attributes.

What is owned is found by looking at the attributes, each time. So there is nothing to declare, and
a layer appended to a list counts from that moment.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..autograd.variable import Variable
from ..config.checked import argument, kind_of
from ..config.configured import Configured
from ..config.naming import snake_case, unique_name
from ..config.owned import Roles, collect
from ..config.tracebacks import filtered
from ..metrics.base import Metric
from .added import losses_of


class Owner(Configured):
    """The part of a layer that finds, counts, freezes, copies and overwrites its variables."""

    name: str
    built: bool
    _trainable: bool
    _states: list[Variable]

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get(name)
        if isinstance(held, Variable) and value is not None and not isinstance(value, Variable):
            raise TypeError(
                f"{self._where}: {name} is a weight, {type(value).__name__} is none. Write "
                f"layer.{name}.assign(values)."
            )
        super().__setattr__(name, value)

    @property
    def _where(self) -> str:
        """How an error calls this layer, as in ``"Conv2D 'conv2'"``."""
        return f"{type(self).__name__} {self.name!r}"

    def _owned(self) -> tuple[list[Variable], list[Owner]]:
        """The variables and layers in the attributes and their lists and dicts, once each."""
        variables: dict[int, Variable] = {}
        layers: dict[int, Owner] = {}
        collect(vars(self).values(), _ROLES, variables, layers, {})
        return list(variables.values()), list(layers.values())

    def _inventory(self) -> _Parts:
        """All that this layer and those below it own, found in one walk, depth first."""
        parts = _Parts({}, {}, {})
        pending: list[Owner] = [self]
        while pending:
            layer = pending.pop()
            if id(layer) not in parts.layers:
                parts.layers[id(layer)] = layer
                below: dict[int, Owner] = {}
                collect(vars(layer).values(), _ROLES, parts.variables, below, parts.metrics)
                pending += reversed(below.values())
        return parts

    def named_variables(self) -> dict[str, Variable]:
        """Every variable by its key in a saved file, as in ``"conv2d_1/kernel"``, once each.

        Layers count by class within their owner, whatever they are named, so that the same model
        made twice has the same keys.
        """
        found: dict[str, Variable] = {}
        self._name_variables("", set(), found)
        return found

    def _name_variables(self, prefix: str, seen: set[int], found: dict[str, Variable]) -> None:
        seen.add(id(self))
        taken: Counter[str] = Counter()
        variables, layers = self._owned()
        for variable in variables:
            key = unique_name(variable.name, taken)
            if id(variable) not in seen:
                seen.add(id(variable))
                found[prefix + key] = variable
        for layer in layers:
            key = unique_name(snake_case(type(layer).__name__), taken)
            if id(layer) not in seen:
                layer._name_variables(f"{prefix}{key}/", seen, found)

    def _all_layers(self) -> list[Owner]:
        """This layer and all below it, depth first, once each."""
        return list(self._inventory().layers.values())

    @property
    def variables(self) -> list[Variable]:
        """Weights and other states, of this layer and of those in its attributes."""
        return list(self._inventory().variables.values())

    @property
    def weights(self) -> list[Variable]:
        """`variables` without the states of random number generators."""
        parts = self._inventory()
        states = {id(v) for layer in parts.layers.values() for v in layer._states}
        return [v for key, v in parts.variables.items() if key not in states]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer should update."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that stay, or that the layer itself updates."""
        return [v for v in self.weights if not (self.trainable and v.trainable)]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """`non_trainable_weights` and the states."""
        return [v for v in self.variables if not (self.trainable and v.trainable)]

    @property
    def trainable(self) -> bool:
        """Whether an optimizer should update the weights. Setting it sets all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = argument(self._where, "trainable", value, kind_of(bool))
        for layer in self._all_layers():
            layer._trainable = value
            for variable in layer._owned()[0]:
                variable.freeze(not value)

    @property
    def losses(self) -> list[Tensor]:
        """What belongs to the loss: what layers added in the last call, and the value of the
        regularizer of each weight."""
        added = [loss for layer in self._all_layers() for loss in losses_of(layer)]
        weights = self.trainable_weights
        return added + [v.regularizer(v) for v in weights if v.regularizer is not None]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics among the attributes, of this layer and of those below it."""
        return list(self._inventory().metrics.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of `metrics`, which is not among `variables`."""
        return [v for metric in self.metrics for v in metric.variables]

    @filtered
    def count_params(self) -> int:
        """The number of elements of all weights.

        Raises:
            ValueError: there are no weights yet.
        """
        if not self.built:
            raise ValueError(
                f"{self._where} has no weights to count before it is built. Call it on data, or "
                "call build(input_shape)."
            )
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """A copy of every weight, in the order of `weights`."""
        return [v.data.copy() for v in self.weights]

    @filtered
    def set_weights(self, weights: list[Any]) -> None:
        """Overwrite every weight.

        Args:
            weights: arrays as from `get_weights`.

        Raises:
            ValueError: another number of arrays, or other shapes; nothing is changed.
        """
        if not isinstance(weights, (list, tuple)):
            raise TypeError(
                f"{self._where}: set_weights takes a list of arrays, as from get_weights(), "
                f"received {type(weights).__name__}."
            )
        own = self.weights
        arrays = [w.data if isinstance(w, Tensor) else np.asarray(w) for w in weights]
        if len(arrays) != len(own):
            raise ValueError(
                f"{self._where} has {len(own)} weights, received {len(arrays)} arrays. Expected "
                f"{', '.join(f'{v.path} {v.shape}' for v in own) or 'none'}."
            )
        wrong = [
            f"{v.path} has shape {v.shape}, received {a.shape}"
            for v, a in zip(own, arrays, strict=True)
            if v.shape != a.shape
        ]
        if wrong:
            raise ValueError(f"{self._where}: {'; '.join(wrong)}.")
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)


class _Parts(NamedTuple):
    """What an `Owner` has, each by its identity."""

    layers: dict[int, Owner]
    variables: dict[int, Variable]
    metrics: dict[int, Metric]


_ROLES = Roles(Variable, Owner, Metric)
