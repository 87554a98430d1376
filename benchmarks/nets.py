"""The nets of the benchmarks as plain lists, and one builder for gradtape.

Every contestant builds its net from the same list and starts from the same arrays:

    ("conv", filters, kernel, padding, activation)   ("average", size)   ("max", size)
    ("flatten",)   ("dense", units, activation)
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gradtape as gt

Layers = list[tuple[Any, ...]]
Arrays = list[np.ndarray]


def _vgg(*groups: tuple[int, int], dense: tuple[int, ...]) -> Layers:
    layers: Layers = []
    for count, filters in groups:
        layers += [("conv", filters, 3, 1, "relu")] * count
        layers += [("max", 2)]
    return [*layers, ("flatten",), *[("dense", n, "relu") for n in dense], ("dense", 10, None)]


#: name: the shape of a sample, and the layers.
NETS: dict[str, tuple[tuple[int, int, int], Layers]] = {
    "lenet5": (
        (28, 28, 1),
        [
            ("conv", 6, 5, 2, "tanh"), ("average", 2),
            ("conv", 16, 5, 0, "tanh"), ("average", 2),
            ("flatten",), ("dense", 120, "tanh"), ("dense", 84, "tanh"), ("dense", 10, None),
        ],
    ),
    "vgg_small": ((32, 32, 3), _vgg((2, 64), (2, 128), (3, 256), dense=(512,))),
    "alexnet_small": (
        (32, 32, 3),
        [
            ("conv", 64, 3, 1, "relu"), ("max", 2), ("conv", 128, 3, 1, "relu"), ("max", 2),
            ("conv", 192, 3, 1, "relu"), ("conv", 128, 3, 1, "relu"),
            ("conv", 128, 3, 1, "relu"), ("max", 2), ("flatten",),
            ("dense", 512, "relu"), ("dense", 256, "relu"), ("dense", 10, None),
        ],
    ),
}  # fmt: skip

#: Sides of images and numbers of convolutions that `scaling` goes through.
IMAGES, DEPTHS = (16, 32, 64, 128), (1, 2, 4, 8)
NETS |= {f"image_{n}": ((n, n, 3), _vgg((1, 16), (1, 32), dense=(64,))) for n in IMAGES}
NETS |= {f"depth_{n}": ((16, 16, 3), _vgg((n, 32), dense=())) for n in DEPTHS}

BATCHES = {"lenet5": (128, 32), "vgg_small": (64,), "alexnet_small": (64,)}


def gradtape_net(name: str) -> gt.Sequential:
    """The net as a gradtape model that returns logits."""
    shape, layers = NETS[name]
    made: list[Any] = [gt.Input(shape)]
    for kind, *given in layers:
        if kind == "conv":
            filters, kernel, padding, activation = given
            made.append(gt.layers.Conv2D(filters, kernel, padding=padding, activation=activation))
        elif kind == "dense":
            made.append(gt.layers.Dense(given[0], activation=given[1]))
        elif kind == "flatten":
            made.append(gt.layers.Flatten())
        else:
            pooling = gt.layers.MaxPooling2D if kind == "max" else gt.layers.AveragePooling2D
            made.append(pooling(given[0]))
    return gt.Sequential(made)


def initial_weights(name: str) -> Arrays:
    """Kernels (k, k, c_in, c_out) or (inputs, units), and biases, in order: what all start from."""
    gt.utils.set_random_seed(0)
    return gradtape_net(name).get_weights()


def data(name: str, batch: int, batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Images that depend on their labels, so that there is something to learn.

    Returns:
        (batches, batch, H, W, C) float32 and (batches, batch) int64.
    """
    shape = NETS[name][0]
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, (batches, batch))
    patterns = rng.normal(size=(10, *shape)).astype(np.float32)
    noise = rng.normal(size=(batches, batch, *shape)).astype(np.float32)
    return 0.5 * patterns[labels] + noise, labels
