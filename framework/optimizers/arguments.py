"""The constructors of the optimizers: arguments of their own, and those of every one."""

from __future__ import annotations

import inspect
from typing import Any

from ..config.checked import NotNegative, Share
from ..config.signatures import constructor, hints_of
from .base import COMMON, Optimizer

#: What the arguments of some optimizers are.
_ANNOTATIONS: dict[str, Any] = {
    "learning_rate": Any,  # its setter says
    **dict.fromkeys(("amsgrad", "centered", "nesterov"), bool),
    **dict.fromkeys(("momentum", "rho", "beta_1", "beta_2"), Share),
    **dict.fromkeys(("epsilon", "initial_accumulator_value"), NotNegative),
}


def arguments(**own: Any) -> Any:
    """The ``__init__`` of an optimizer with these arguments and defaults, and those of every one.

    Its own come first and become attributes; then `Optimizer.check` is called.
    """
    common = inspect.signature(Optimizer.__init__).parameters
    defaults = own | {name: common[name].default for name in (*COMMON, "name") if name not in own}

    def fill(optimizer: Optimizer, given: dict[str, Any]) -> None:
        every = {name: given.pop(name) for name in ("learning_rate", *COMMON, "name")}
        Optimizer.__init__(optimizer, **every)
        vars(optimizer).update(given)
        optimizer.check()

    return constructor(
        defaults, defaults, fill, lambda: {**hints_of(Optimizer.__init__), **_ANNOTATIONS}
    )
