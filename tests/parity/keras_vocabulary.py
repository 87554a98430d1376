"""Keras's public names against ours: which are there, with which arguments, and why others are not.

``make keras-parity`` runs every comparison with Keras and writes docs/keras-parity.md with it.
"""

from __future__ import annotations

import inspect
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradtape as gt
from gradtape.left_out import LEFT_OUT

os.environ["KERAS_BACKEND"] = "torch"
import keras
from keras_modules import overview

#: The modules compared name by name, by Keras's names; `keras_modules` has the others.
MODULES = (
    "layers", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers",
    "regularizers", "constraints", "activations", "callbacks", "models", "saving", "utils",
)  # fmt: skip
#: Classes whose methods are compared too.
CLASSES = ("Model", "layers.Layer", "optimizers.Optimizer", "metrics.Metric", "losses.Loss")
#: Objects of ours, for what is no attribute of the class.
_EXAMPLES: dict[str, Any] = {
    "Model": lambda: gt.Sequential([gt.Input((2,)), gt.layers.Dense(1)]),
    "layers.Layer": lambda: gt.layers.Layer(),
    "optimizers.Optimizer": lambda: gt.optimizers.SGD(),
    "metrics.Metric": lambda: gt.metrics.Mean(),
    "losses.Loss": lambda: gt.losses.MeanSquaredError(),
}

#: Public methods that Keras's classes have from PyTorch's, with this back end, or for itself.
_INTERNAL = re.compile(
    r"(stateless_.*|quantiz.*|.*_own_variables|(get|build_from|get_build)_(build_)?config|"
    r".*state_tree|rematerialized_call|symbolic_call|torch_params|call_super_init|"
    r"compute_(mask|output_spec)|(input|compute|variable)_dtype|dtype_policy|jit_compile|"
    r"supports_masking|export|get_quantization.*|metrics_variables|path|add_metric|"
    r"make_.*_function|update_step|scale_loss|add_variable.*|add_optimizer_variables|"
    r"assign(_add|_sub)?|stateless_apply|get_metrics_result|from_keras.*)"
)


@dataclass(frozen=True)
class Name:
    """One public name of Keras.

    Attributes:
        module, name: ``layers``, ``Dense``; for methods ``Model``, ``fit``.
        there: whether we have it.
        reason: why not, or None.
        arguments: how ours differ, or "" if they do not.
    """

    module: str
    name: str
    there: bool
    reason: str | None
    arguments: str


def _found(root: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        root = getattr(root, part, None)
    return root


def names() -> Iterator[Name]:
    """Every public name of Keras in scope."""
    for module in MODULES:
        theirs, ours = _found(keras, module), _found(gt, module)
        for name in sorted(dir(theirs)):
            thing = getattr(theirs, name)
            if not name.startswith("_") and not inspect.ismodule(thing):
                yield _compared(module, name, thing, ours)
    for owner in CLASSES:
        cls, ours = _found(keras, owner), _EXAMPLES[owner]()
        inherited = {
            n for base in cls.__mro__ if base.__module__.startswith("torch") for n in dir(base)
        }
        for name in sorted(set(dir(cls)) - inherited):
            if not name.startswith("_") and not _INTERNAL.fullmatch(name):
                yield _compared(owner.rpartition(".")[2], name, getattr(cls, name), ours)


def _compared(module: str, name: str, theirs: Any, ours: Any) -> Name:
    there = ours is not None and name in dir(ours)
    patterns = LEFT_OUT.get(module, {})
    reason = next((why for p, why in patterns.items() if re.fullmatch(p, name)), None)
    arguments = _difference(theirs, getattr(ours, name, None)) if there and callable(theirs) else ""
    return Name(module, name, there, None if there else reason, arguments)


def _parameters(thing: Any) -> dict[str, Any] | None:
    try:
        found = inspect.signature(thing).parameters
    except (TypeError, ValueError):
        return None
    return {
        n: p.default
        for n, p in found.items()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and n != "self"
    }


def _difference(theirs: Any, ours: Any) -> str:
    """How the arguments of ours differ from Keras's, in words."""
    want, have = _parameters(theirs), _parameters(ours)
    if want is None or have is None:
        return ""
    found = []
    lacks = [n for n in want if n not in have]
    if lacks:
        found.append(f"without `{'`, `'.join(lacks)}`")
    for name, default in want.items():
        if name in have and not _same(default, have[name]):
            found.append(f"`{name}={_shown(have[name])}`, in Keras `{_shown(default)}`")
    common = [n for n in want if n in have]
    if [n for n in have if n in want] != common:
        found.append("in another order")
    more = [n for n in have if n not in want]
    if more:
        found.append(f"also `{'`, `'.join(more)}`")
    return "; ".join(found)


def _same(one: Any, other: Any) -> bool:
    """Whether two defaults mean the same: ``1`` and ``(1, 1)`` do."""
    if one is other or _shown(one) == _shown(other):
        return True
    single = [set(v) if isinstance(v, (tuple, list)) and v else {v} for v in (one, other)
              if isinstance(v, (int, float, str, tuple, list))]  # fmt: skip
    return len(single) == 2 and single[0] == single[1] and len(single[0]) == 1


def _shown(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    return repr(default)


def missing() -> list[str]:
    """Names in scope that are neither there nor have a reason."""
    return [f"{n.module}.{n.name}" for n in names() if not n.there and n.reason is None]


def page(comparisons: Mapping[tuple[str, str], int]) -> str:
    """docs/keras-parity.md.

    Args:
        comparisons: how many comparisons of values passed, by module and name.
    """
    rows = list(names())
    there = [n for n in rows if n.there]
    lines = [
        "# Keras's names",
        "",
        f"Against Keras {keras.__version__} on PyTorch. Made by `make keras-parity`; do not edit.",
        "",
        f"Name by name are compared the {len(MODULES)} modules of layers, losses, metrics, "
        f"optimizers and what belongs to them: {len(there)} of their {len(rows)} public names and "
        "methods are there, "
        f"{sum(not n.arguments for n in there)} of them with the same arguments and defaults; "
        f"{sum(comparisons.values()):,} comparisons of values passed. What there is of the other "
        "modules says the next table.",
        "",
    ]
    groups: dict[str, list[Name]] = {}
    for n in rows:
        groups.setdefault(n.module, []).append(n)
    lines += overview(
        MODULES, {m: (sum(n.there for n in found), len(found)) for m, found in groups.items()}
    )
    for module, found in groups.items():
        lines += [f"## {module}", ""]
        lines += ["| name | arguments | comparisons passed |", "|---|---|---|"]
        for n in (n for n in found if n.there):
            count = comparisons.get((module, n.name), 0)
            lines.append(f"| `{n.name}` | {n.arguments or 'same'} | {count or ''} |")
        reasons: dict[str, list[str]] = {}
        for n in (n for n in found if not n.there):
            reasons.setdefault(n.reason or "not there yet", []).append(f"`{n.name}`")
        if reasons:
            lines += ["", "Left out:", ""]
            lines += [f"- {', '.join(listed)}: {why}." for why, listed in reasons.items()]
        lines.append("")
    return "\n".join(lines)


#: Modules by what a test of them is called.
_STEMS = {
    "layer": "layers", "loss": "losses", "metric": "metrics", "optimizer": "optimizers",
    "schedule": "optimizers.schedules", "initializer": "initializers",
    "regularizer": "regularizers", "constraint": "constraints", "activation": "activations",
    "callback": "callbacks", "fit": "Model", "model": "models", "util": "utils",
}  # fmt: skip


def counted(passed: list[str]) -> Counter[tuple[str, str]]:
    """Comparisons by module and name: ``test_losses_keras.py::test_values[Dice-sum]`` is one of
    losses.Dice. The name of the test says the module, else that of its file."""
    known: dict[str, set[str]] = {}
    for n in names():
        known.setdefault(n.module, set()).add(n.name)
    found: Counter[tuple[str, str]] = Counter()
    for test in passed:
        file, _, rest = test.partition("::")
        function, _, case = rest.partition("[")
        words = re.findall(r"\w+", case)
        stems = [s for part in (function, file) for s in _STEMS if s in part]
        for stem in stems:
            module = _STEMS[stem]
            name = next((w for w in words if w in known[module]), None)
            if name is not None:
                found[module, name] += 1
                break
    return found
