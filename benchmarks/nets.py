"""The nets of the benchmarks as plain lists, and one builder for gradtape.

Every contestant builds its net from the same list and starts from the same arrays:

    ("conv", filters, kernel, padding, activation)   ("average", size)   ("max", size)
    ("flatten",)   ("mean",)   ("dense", units, activation)
    ("normalized", filters, stride, activation)   ("residual", filters, stride)

The mean is over height and width. A normalized layer is a 3x3 convolution, padded by 1 and without
bias, batch normalization and the activation. A residual block adds its input to two of them and
ends in a ReLU; where the shape changes, it adds every other pixel, and zeros for new channels.
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


def _resnet(blocks: int) -> Layers:
    layers: Layers = [("normalized", 16, 1, "relu")]
    for filters in (16, 32, 64):
        layers += [("residual", filters, 1)] * blocks
        if filters > 16:
            layers[-blocks] = ("residual", filters, 2)
    return [*layers, ("mean",), ("dense", 10, None)]


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
    "resnet20": ((32, 32, 3), _resnet(3)),
}  # fmt: skip

#: Of batch normalization, as in `gt.models`.
NORM_MOMENTUM, NORM_EPSILON = 0.9, 1e-5

#: Sides of images and numbers of convolutions that `scaling` goes through.
IMAGES, DEPTHS = (16, 32, 64, 128), (1, 2, 4, 8)
NETS |= {f"image_{n}": ((n, n, 3), _vgg((1, 16), (1, 32), dense=(64,))) for n in IMAGES}
NETS |= {f"depth_{n}": ((16, 16, 3), _vgg((n, 32), dense=())) for n in DEPTHS}

BATCHES = {"lenet5": (128, 32), "vgg_small": (64,), "alexnet_small": (64,), "resnet20": (64,)}


def unfolded(layers: Layers) -> Layers:
    """The layers with weights in a row, where residual blocks are two normalized layers each."""
    flat: Layers = []
    for layer in layers:
        if layer[0] == "residual":
            _, filters, stride = layer
            flat += [("normalized", filters, stride, "relu"), ("normalized", filters, 1, None)]
        else:
            flat.append(layer)
    return flat


def gradtape_net(name: str) -> gt.Model:
    """The net as a gradtape model that returns logits; ResNet-20 is that of `gt.models`."""
    shape, layers = NETS[name]
    if name == "resnet20":
        return gt.models.ResNet20(shape, classifier_activation=None)
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
    """What all start from: kernels (k, k, c_in, c_out) or (inputs, units) and biases, in order; of
    normalized layers kernel, gamma, beta, moving mean and moving variance."""
    gt.utils.set_random_seed(0)
    return gradtape_net(name).get_weights()


def split(name: str, weights: Arrays) -> tuple[Arrays, Arrays]:
    """The weights that are trained, and those that follow the batches' means and variances."""
    trained: Arrays = []
    moving: Arrays = []
    rest = iter(weights)
    for kind, *_ in unfolded(NETS[name][1]):
        if kind == "normalized":
            kernel, gamma, beta, mean, variance = (next(rest) for _ in range(5))
            trained += [kernel, gamma, beta]
            moving += [mean, variance]
        elif kind in ("conv", "dense"):
            trained += [next(rest), next(rest)]
    return trained, moving


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
