"""All that `fit` has to know to go on after a crash, as plain data and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .random import get_seed, resume_seed

State = tuple[dict[str, Any], dict[str, np.ndarray]]
_VARIABLES, _OPTIMIZER, _METRICS = "variables/", "optimizer/", "metrics/"


def state_of(model: Any, epoch: int, batch: int) -> State:
    """The state of a model within `fit`.

    Args:
        model: a model that is being trained.
        epoch: the epoch, from 0, to go on with.
        batch: how many of its batches are done.

    Returns:
        Plain data, and arrays by name.
    """
    arrays = {_VARIABLES + k: v.data for k, v in model.named_variables().items()}
    if model.optimizer is not None:
        arrays |= {_OPTIMIZER + k: np.asarray(a) for k, a in model.optimizer.get_state().items()}
    arrays |= {_METRICS + k: v for k, v in _metrics_of(model).items()}
    running = model._round
    position = running.rounds.position if running is not None and running.rounds else None
    config = {"kind": "backup", "epoch": epoch, "batch": batch, "seed": get_seed()}
    return {**config, "position": position}, arrays


def restore(model: Any, config: dict[str, Any], arrays: dict[str, np.ndarray], name: str) -> None:
    """Let the `fit` that is about to start go on from `state_of`.

    Args:
        name: what the state is called in an error.

    Raises:
        ValueError: it is not of this model; nothing is changed.
    """
    variables = model.named_variables()
    kept = {k.removeprefix(_VARIABLES): a for k, a in arrays.items() if k.startswith(_VARIABLES)}
    odd = [k for k in sorted(variables.keys() ^ kept.keys())]
    odd += [k for k in variables.keys() & kept.keys() if variables[k].shape != kept[k].shape]
    if config.get("kind") != "backup" or odd:
        raise ValueError(
            f"{name!r} is no backup of this model: {', '.join(odd[:6]) or 'it is another file'} "
            "differ. Delete the folder to start anew, or make the model as it was."
        )
    if model.optimizer is not None:
        keys = [k for k in arrays if k.startswith(_OPTIMIZER)]
        model.optimizer.set_state({k.removeprefix(_OPTIMIZER): arrays[k] for k in keys})
    for key, variable in variables.items():
        variable.assign(kept[key])
    resume_seed(int(config["seed"]))
    running = model._round
    running.epoch, running.batch = int(config["epoch"]), int(config["batch"])
    if config["position"] is not None:
        address, seen = config["position"]
        running.rounds.resume(address, seen)
    if running.batch:
        _restore_metrics(model, arrays)


# What a metric remembers are its variables, and the numbers and arrays in its attributes.

_VARIABLE = "variables."


def _numbers(metric: Any) -> dict[str, Any]:
    found = {
        name: value
        for name, value in vars(metric).items()
        if isinstance(value, (int, float, np.number, np.ndarray)) and not isinstance(value, bool)
    }
    return found | {f"{_VARIABLE}{j}": v.data for j, v in enumerate(metric.variables)}


def _metrics_of(model: Any) -> dict[str, np.ndarray]:
    return {
        f"{i}/{name}": np.asarray(value)
        for i, metric in enumerate(model.metrics)
        for name, value in _numbers(metric).items()
    }


def _restore_metrics(model: Any, arrays: dict[str, np.ndarray]) -> None:
    for i, metric in enumerate(model.metrics):
        prefix = f"{_METRICS}{i}/"
        for key in [k for k in arrays if k.startswith(prefix)]:
            name, value = key.removeprefix(prefix), arrays[key]
            if name.startswith(_VARIABLE):
                metric.variables[int(name.removeprefix(_VARIABLE))].assign(value)
            else:
                setattr(metric, name, value if value.ndim else value.item())
