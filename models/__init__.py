"""The zoo: nets of the lectures, one a file. Also `Sequential`, `Model` and `load_model`.

model = gt.models.LeNet5()
model = gt.models.build("lenet5")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradtape import Model, Sequential, load_model
from gradtape.errors import unknown_name

from .lenet import LeNet5, LeNetGluon

__all__ = ["ZOO", "LeNet5", "LeNetGluon", "Model", "Sequential", "build", "load_model"]

#: Every net by its name in lower case.
ZOO: dict[str, Callable[..., Model]] = {net.__name__.lower(): net for net in (LeNet5, LeNetGluon)}


def build(name: str, **settings: Any) -> Model:
    """A new net of the zoo.

    Args:
        name: as in ``"lenet5"``; case, hyphens and underscores do not matter.
        settings: its arguments.

    Raises:
        ValueError: there is no net of that name.
    """
    net = ZOO.get(name.lower().replace("-", "").replace("_", ""))
    if net is None:
        raise unknown_name("net", name, ZOO)
    return net(**settings)
