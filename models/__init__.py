"""The zoo: nets of the lectures, one a file. Also `Sequential`, `Model` and `load_model`.

model = gt.models.LeNet5()
model = gt.models.build("lenet5")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gradtape import Model, Sequential, clone_model, load_model
from gradtape.config.exports import exporting
from gradtape.errors import unknown_name
from gradtape.model.cloning import model_from_json
from gradtape.saving import save_model

from .alexnet import AlexNet, AlexNetSmall
from .densenet import DenseNetSmall
from .digit_codes import RBFPenalty
from .googlenet import GoogLeNet, GoogLeNetSmall
from .lenet import LeNet5, LeNet1998, LeNetGluon
from .mlp import MLP
from .nin import NiN
from .resnet import ResNet18, ResNet20, ResNet32, ResNet34, ResNet50, ResNet56
from .vgg import VGG11, VGG13, VGG16, VGG19, VGGSmall

#: Every net by its name in lower case.
ZOO: dict[str, Callable[..., Model]] = {
    net.__name__.lower(): net
    for net in (
        *(
            MLP,
            LeNet5,
            LeNet1998,
            LeNetGluon,
            AlexNet,
            AlexNetSmall,
            VGG11,
            VGG13,
            VGG16,
            VGG19,
            VGGSmall,
        ),
        *(NiN, GoogLeNet, GoogLeNetSmall, ResNet18, ResNet34, ResNet50),
        *(ResNet20, ResNet32, ResNet56, DenseNetSmall),
    )
}

__all__ = [
    "MLP",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "ZOO",
    "AlexNet",
    "AlexNetSmall",
    "DenseNetSmall",
    "GoogLeNet",
    "GoogLeNetSmall",
    "LeNet5",
    "LeNet1998",
    "LeNetGluon",
    "Model",
    "NiN",
    "RBFPenalty",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet34",
    "ResNet50",
    "ResNet56",
    "Sequential",
    "VGGSmall",
    "build",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]


def build(name: str, /, **settings: Any) -> Model:
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


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "net")
