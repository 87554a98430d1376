"""How `gradtape train` trains each net unless told otherwise: as data, for options to override.

The recipes were chosen on a part of the training images (``--validation-split``), never on the test
set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How to train a net.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step.
        optimizer: a name of `gradtape.optimizers`.
        learning_rate: its size of a step, at the most; None: the optimizer's own.
        momentum: of ``sgd``.
        weight_decay: the share of a weight, times the learning rate, that each step takes off.
        schedule: one of `SCHEDULES`.
        loss: what `compile` takes, or a class of `gradtape.models`.
        augment: keys of `AUGMENTATIONS`, or ``"auto"`` for what suits the data.
        smallest: images with shorter sides get zeros around them, up to this.
    """

    epochs: int = 20
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "cosine"
    augment: tuple[str, ...] = ("auto",)
    smallest: int = 1
    loss: str = "sparse_categorical_crossentropy"


_DENSE = Recipe(epochs=60, learning_rate=1e-3)
_PLAIN = Recipe(epochs=20, batch_size=64, learning_rate=1e-3, weight_decay=0.01)
_NORMALIZED = Recipe(
    epochs=20, batch_size=64, optimizer="sgd", learning_rate=0.1, momentum=0.9, weight_decay=5e-4
)
#: He et al. (2015), section 4.2, but for the number of epochs and the shape of the decay.
_RESIDUAL = replace(_NORMALIZED, schedule="warmup_cosine")
#: Nets that halve their images five times.
_LARGE: dict[str, Any] = {"smallest": 32}

#: By the names of `gradtape.models`; nets without one take `Recipe()`.
RECIPES: dict[str, Recipe] = {
    "mlp": _DENSE,
    "lenet5": Recipe(epochs=30, batch_size=32, learning_rate=2e-3),
    "lenet1998": Recipe(epochs=20, batch_size=32, learning_rate=3e-3, loss="RBFPenalty"),
    "lenetgluon": Recipe(epochs=20, batch_size=32, learning_rate=1e-3),
    "alexnet": _PLAIN,
    "alexnetsmall": _PLAIN,
    **{f"vgg{n}": replace(_PLAIN, learning_rate=3e-4, **_LARGE) for n in (11, 13, 16, 19)},
    "vggsmall": _PLAIN,
    "nin": replace(_PLAIN, epochs=30),
    "googlenet": replace(_PLAIN, **_LARGE),
    "googlenetsmall": _NORMALIZED,
    **{f"resnet{n}": replace(_RESIDUAL, **_LARGE) for n in (18, 34, 50)},
    **{f"resnet{n}": _RESIDUAL for n in (20, 32, 56)},
    "densenetsmall": _NORMALIZED,
}

#: Layers by the name of an augmentation: their class and its arguments. Pixels go from 0 to 1.
AUGMENTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "flip": ("RandomFlip", {"mode": "horizontal"}),
    "shift": (
        "RandomTranslation",
        {"height_factor": 0.1, "width_factor": 0.1, "fill_mode": "constant"},
    ),
    "crop": (  # by whole pixels, up to 4 of 32: no image is blurred (He et al., 2015, section 4.2)
        "RandomTranslation",
        {
            "height_factor": 0.125,
            "width_factor": 0.125,
            "fill_mode": "constant",
            "interpolation": "nearest",
        },
    ),
    "turn": ("RandomRotation", {"factor": 0.03, "fill_mode": "constant"}),
    "zoom": ("RandomZoom", {"height_factor": 0.1, "fill_mode": "constant"}),
    "erase": (
        "RandomErasing",
        {"factor": 1.0, "scale": (0.02, 0.2), "fill_value": 0.0, "value_range": (0.0, 1.0)},
    ),
}

#: What ``auto`` stands for: changes after which an image still shows what its label says.
SUITABLE: dict[str, tuple[str, ...]] = {
    "mnist": ("shift", "turn", "zoom"),
    "mnist_sample": ("shift", "turn", "zoom"),
    "fashion_mnist": ("flip", "shift"),
    "cifar10": ("flip", "shift"),
}

#: From how many epochs times parameters for each training image on a net learns images by heart:
#: LeNet-5 has 460 on the 4,000 digits of the sample in 30 epochs, where changing them gains 2.5
#: points, and 10 on Fashion-MNIST in 10 epochs, where it costs 2.
BY_HEART = 50

#: What the learning rate does: nothing, down to 0 along half a cosine, or that after a warm-up.
SCHEDULES = ("constant", "cosine", "warmup_cosine")
_WARMUP = 0.05  # of all steps


def recipe_for(net: str) -> Recipe:
    """The recipe of a net by its name, as `gradtape.models.build` takes it."""
    return RECIPES.get(net.lower().replace("-", "").replace("_", ""), Recipe())


def augmentation_names(
    names: Sequence[str], data: str, epochs: int, parameters: int, images: int
) -> tuple[str, ...]:
    """What to do to images of a data set, with what ``auto`` stands for.

    Changed images pay where a net would otherwise learn its images by heart: the longer it trains
    and the larger it is, measured by the number of images. Elsewhere they only make it slower to
    learn, so that ``auto`` stands for nothing.

    Args:
        epochs: passes over the training images.
        parameters: of the net.
        images: to learn from.
    """
    pays = epochs * parameters >= BY_HEART * images
    auto = SUITABLE.get(data, ()) if pays else ()
    return tuple(n for name in names for n in (auto if name == "auto" else (name,)))


def learning_rate(rate: float, schedule: str, steps: int) -> Any:
    """A rate, or a schedule that ends at 0 after so many steps."""
    from ..optimizers.schedules import CosineDecay

    if schedule == "constant":
        return rate
    if schedule == "cosine":
        return CosineDecay(rate, steps)
    warmup = max(1, round(_WARMUP * steps))
    return CosineDecay(0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)
