"""All that `fit` has to know to go on after a crash, as plain data and arrays."""

from __future__ import annotations

import copy
import random as python_random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..autograd.variable import Variable
from ..config.naming import unique_name
from ..errors import FileError
from ..layers.wire import from_plain, to_plain
from ..metrics.base import Metric, fill
from ..random import get_seed, resume_seed
from .base import Callback

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
        FileError: it is not of this model, or damaged; nothing is changed.
    """
    running = model._round
    before = copy.deepcopy(state_of(model, running.epoch, running.batch))
    try:
        _refuse_others(model, config, arrays)
        _apply(model, config, arrays)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        _apply(model, *before)
        reason = str(error) if isinstance(error, (ValueError, TypeError)) else repr(error)
        raise FileError(
            f"{name!r} is no backup of this model: {reason}. Delete the folder to start anew, or "
            "make the model as it was."
        ) from error


def _refuse_others(model: Any, config: dict[str, Any], arrays: Arrays) -> None:
    """Refuse a state of another model, or one that says what no state says.

    Raises:
        ValueError: what is odd about it.
    """
    if config.get("kind") != "backup":
        raise ValueError("it is another file")
    running, variables = model._round, model.named_variables()
    kept = {k.removeprefix(_VARIABLES): a for k, a in arrays.items() if k.startswith(_VARIABLES)}
    odd = [k for k in sorted(variables.keys() ^ kept.keys())]
    odd += [
        k
        for k in variables.keys() & kept.keys()
        if (variables[k].shape, variables[k].dtype) != (kept[k].shape, kept[k].dtype)
    ]
    callbacks, metrics = _named(running.callbacks), _metrics_of(model)
    then = {k: _unpacked(config[k], arrays) for k in ("metrics", "callbacks")}
    odd += ["metrics"] * (len(then["metrics"]) != len(metrics))
    odd += [
        f"what {name} remembers"
        for name, callback in callbacks.items()
        if name in then["callbacks"] and not _alike(callback.get_state(), then["callbacks"][name])
    ]
    odd += [
        f"metric {metric.name!r}"
        for metric, values in zip(metrics, then["metrics"], strict=False)
        if not _of_metric(metric, values)
    ]
    counts = [config["epoch"], config["batch"], config["seed"]]
    if config["position"] is not None:
        address, seen = config["position"]
        counts += [*address, seen]
    odd += ["how far it was"] * any(type(n) is not int or not 0 <= n < 2**63 for n in counts)
    rate = config["rate"]
    odd += ["the learning rate"] * (rate is not None and not 0 <= float(rate) < float("inf"))
    if odd:
        raise ValueError(f"{', '.join(odd[:6])} {'differs' if len(odd) == 1 else 'differ'}")


def _alike(now: Any, then: Any) -> bool:
    """Whether two values are of one kind, so that one can take the place of the other."""
    if now is None or then is None:
        return True
    if isinstance(now, dict):
        return isinstance(then, dict) and now.keys() == then.keys()
    for kind in (str, (list, tuple), np.ndarray, (bool, int, float, np.generic)):
        if isinstance(now, kind):
            return isinstance(then, kind)
    return False


def _of_metric(metric: Metric, values: Any) -> bool:
    """Whether a metric can go on from these values."""
    variables, attributes = values
    return len(variables) == len(metric.variables) and all(
        _alike(vars(metric)[k], v) if k in vars(metric) else not hasattr(type(metric), k)
        for k, v in attributes.items()
    )


def _apply(model: Any, config: dict[str, Any], arrays: Arrays) -> None:
    optimizer, running = model.optimizer, model._round
    state = {k: _unpacked(config[k], arrays) for k in ("random", "metrics", "callbacks")}
    if optimizer is not None:
        keys = [k for k in arrays if k.startswith(_OPTIMIZER)]
        optimizer.set_state({k.removeprefix(_OPTIMIZER): arrays[k] for k in keys})
        if config["rate"] is not None:  # in place of a schedule, if need be
            optimizer.learning_rate = config["rate"]
    for key, variable in model.named_variables().items():
        variable.assign(arrays[_VARIABLES + key])
    resume_seed(config["seed"])
    running.epoch, running.batch = config["epoch"], config["batch"]
    model.stop_training = bool(config["stopped"])
    if config["position"] is not None:
        running.rounds.resume(*config["position"])
    if running.batch:  # a new epoch begins with metrics that have seen nothing
        for metric, values in zip(_metrics_of(model), state["metrics"], strict=True):
            _restore_metric(metric, *values)
    for key, callback in _named(running.callbacks).items():
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
