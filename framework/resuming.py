"""All that `fit` has to know to go on after a crash, as plain data and arrays."""

from __future__ import annotations

import random as python_random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .callbacks.base import Callback
from .metrics.base import Metric, fill
from .naming import unique_name
from .random import get_seed, resume_seed
from .variable import Variable
from .wire import from_plain, to_plain

Arrays = dict[str, np.ndarray]
State = tuple[dict[str, Any], Arrays]
_VARIABLES, _OPTIMIZER, _KEPT = "variables/", "optimizer/", "kept/"


def state_of(model: Any, epoch: int, batch: int) -> State:
    """The state of a model within `fit`.

    Args:
        model: a model that is being trained.
        epoch: the epoch, from 0, to go on with.
        batch: how many of its batches are done.

    Returns:
        Plain data, and arrays by name.

    Raises:
        TypeError: a callback remembers what cannot be written down.
    """
    arrays = {_VARIABLES + k: v.data for k, v in model.named_variables().items()}
    optimizer, running = model.optimizer, model._round
    if optimizer is not None:
        arrays |= {_OPTIMIZER + k: np.asarray(a) for k, a in optimizer.get_state().items()}
    config = {
        "kind": "backup",
        "epoch": epoch,
        "batch": batch,
        "stopped": model.stop_training,
        "seed": get_seed(),
        "random": _packed([python_random.getstate(), np.random.get_state()], arrays),  # noqa: NPY002
        "rate": None if optimizer is None or optimizer.scheduled else optimizer.learning_rate,
        "position": running.rounds.position if running is not None and running.rounds else None,
        "metrics": _packed([_state_of_metric(m) for m in _metrics_of(model)], arrays),
    }
    callbacks = {} if running is None else _named(running.callbacks)
    states = {name: callback.get_state() for name, callback in callbacks.items()}
    return {**config, "callbacks": _packed(states, arrays)}, arrays


def restore(model: Any, config: dict[str, Any], arrays: Arrays, name: str) -> None:
    """Let the `fit` that is about to start go on from `state_of`.

    Args:
        name: what the state is called in an error.

    Raises:
        ValueError: it is not of this model; nothing is changed.
    """
    optimizer, running = model.optimizer, model._round
    variables = model.named_variables()
    callbacks, metrics = _named(running.callbacks), _metrics_of(model)
    kept = {k.removeprefix(_VARIABLES): a for k, a in arrays.items() if k.startswith(_VARIABLES)}
    odd = [k for k in sorted(variables.keys() ^ kept.keys())]
    odd += [k for k in variables.keys() & kept.keys() if variables[k].shape != kept[k].shape]
    if config.get("kind") != "backup":
        odd = ["it is another file"]
    else:
        state = {k: _unpacked(config.get(k), arrays) for k in ("random", "metrics", "callbacks")}
        odd += [
            f"what {k} remembers"
            for k, callback in callbacks.items()
            if k in state["callbacks"]
            and state["callbacks"][k].keys() != callback.get_state().keys()
        ]
        odd += ["metrics"] * (len(state["metrics"]) != len(metrics))
    if odd:
        raise ValueError(
            f"{name!r} is no backup of this model: {', '.join(odd[:6])} differ. Delete the folder "
            "to start anew, or make the model as it was."
        )
    if optimizer is not None:
        keys = [k for k in arrays if k.startswith(_OPTIMIZER)]
        optimizer.set_state({k.removeprefix(_OPTIMIZER): arrays[k] for k in keys})
        if config["rate"] is not None:  # in place of a schedule, if need be
            optimizer.learning_rate = config["rate"]
    for key, variable in variables.items():
        variable.assign(kept[key])
    resume_seed(int(config["seed"]))
    running.epoch, running.batch = int(config["epoch"]), int(config["batch"])
    model.stop_training = bool(config["stopped"])
    if config["position"] is not None:
        address, seen = config["position"]
        running.rounds.resume(address, seen)
    if running.batch:  # a new epoch begins with metrics that have seen nothing
        for metric, values in zip(metrics, state["metrics"], strict=True):
            _restore_metric(metric, *values)
    for key, callback in callbacks.items():
        if key in state["callbacks"]:
            callback.set_state(state["callbacks"][key])
    of_python, of_numpy = state["random"]
    python_random.setstate(of_python)
    np.random.set_state(of_numpy)  # noqa: NPY002 (the one that data of one's own may draw from)


def _named(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Callbacks by names that are the same in the next process."""
    taken: Counter[str] = Counter()
    return {unique_name(type(c).__name__, taken): c for c in callbacks}


def _packed(value: Any, arrays: Arrays) -> Any:
    """Plain data that stands for `value`, whose arrays are added to the others."""

    def keep(array: np.ndarray) -> str:
        key = f"{_KEPT}{len(arrays)}"
        arrays[key] = array
        return key

    return to_plain(value, _no_tensor, keep)


def _unpacked(value: Any, arrays: Arrays) -> Any:
    """What `_packed` was given."""
    return from_plain(value, _no_tensor, lambda key: arrays[key][()])


def _no_tensor(what: Any) -> Any:
    raise TypeError(f"{what!r} stands for a value that is not there yet and cannot be saved.")


# What a metric remembers are its variables, and whatever of its attributes is plain data.


def _metrics_of(model: Any) -> list[Metric]:
    """The metrics of a model, and those that they are made of."""
    found: list[Metric] = []

    def visit(value: Any) -> None:
        if isinstance(value, Metric) and not any(value is metric for metric in found):
            found.append(value)
            visit(list(vars(value).values()))
        elif isinstance(value, dict):
            visit(list(value.values()))
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(list(model.metrics))
    return found


def _state_of_metric(metric: Metric) -> list[Any]:
    attributes = {k: v for k, v in vars(metric).items() if _is_plain(v)}
    return [[v.data for v in metric.variables], attributes]


def _restore_metric(metric: Metric, values: list[np.ndarray], attributes: dict[str, Any]) -> None:
    for variable, value in zip(metric.variables, values, strict=True):
        fill(variable, value)
    vars(metric).update(attributes)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    plain = (bool, int, float, str, np.ndarray, np.generic)
    return value is None or (isinstance(value, plain) and not isinstance(value, Variable))
