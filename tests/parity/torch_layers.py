"""Any gradtape model as the same net in PyTorch: `mirrored` runs a model, and its layers' twins.

The twins know PyTorch's layers only: what they compute with the model's weights and settings, and
how they lay axes out. Which layer feeds which is read off a run of the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import gradtape as gt
from gradtape.models.digit_codes import EuclideanRBF
from gradtape.models.lenet_1998 import TABLE_I, Subsampling, TableConvolution, squash

torch.set_num_threads(1)

Theirs = torch.Tensor
#: The weights of a twin by the layer's attribute.
Own = dict[str, Theirs]

#: How far the two may be apart, relative to the largest element of an array.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}


@dataclass
class Step:
    """A call of a layer, and what went in and came out."""

    layer: Any
    inputs: list[gt.Tensor]
    output: gt.Tensor


@contextmanager
def _recorded(steps: list[Step]) -> Iterator[None]:
    """Every call of a layer (not of a model) is entered in `steps`."""
    called = gt.layers.Layer.__call__

    def call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = called(self, inputs, *args, **kwargs)
        if not isinstance(self, gt.Model):
            many = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            steps.append(Step(self, many, output))
        return output

    gt.layers.Layer.__call__ = call
    try:
        yield
    finally:
        gt.layers.Layer.__call__ = called


class Mirror:
    """The twin of a model: one PyTorch leaf tensor for each of its weights.

    Attributes:
        weights: (the model's variable, PyTorch's leaf) in the model's order, in the same layout.
    """

    def __init__(self, model: gt.Model, dtype: str) -> None:
        self.weights = []
        self._leaf: dict[int, Theirs] = {}
        for variable in model.weights:
            leaf = torch.from_numpy(variable.numpy().astype(dtype))
            leaf.requires_grad_(variable.trainable)
            self._leaf[id(variable)] = leaf
            self.weights.append((variable, leaf))

    def run(self, step: Step, inputs: list[Theirs]) -> Theirs:
        """The twin of a layer's call, on these inputs."""
        own = {
            name: self._leaf[id(value)]
            for name, value in vars(step.layer).items()
            if isinstance(value, gt.Variable) and id(value) in self._leaf
        }
        return TWINS[type(step.layer)](step, own, *inputs)


def mirrored(
    model: gt.Model, x: np.ndarray, dtype: str | None = None
) -> tuple[Any, list[tuple[str, Any, Theirs]], Mirror]:
    """Run a model for training, and its mirror along with it.

    Args:
        model: any, of layers that have a twin.
        x: (N, H, W, C).
        dtype: what the mirror computes in; default: that of x.

    Returns:
        The model's output; for each layer its name, output, and the output of its twin, whose input
        is the output of the twins before it; the mirror.
    """
    steps: list[Step] = []
    x = gt.as_tensor(x)
    with _recorded(steps):
        output = model(x, training=True)
    dtype = dtype or x.dtype.name
    mirror = Mirror(model, dtype)
    theirs = {id(x): torch.from_numpy(x.numpy().astype(dtype))}
    compared = []
    for step in steps:
        sources = [theirs[id(t)] for t in step.inputs]
        result = mirror.run(step, sources)
        theirs[id(step.output)] = result
        compared.append((step.layer.name, step.output, result))
    return output, compared, mirror


def nearly(step: Step, x: Theirs) -> Theirs:
    """What counts as nothing beside x, in the dtype that the model computes in."""
    return TOLERANCES[step.output.dtype.name] * x.detach().abs().max()


def _channels_first(x: Theirs) -> Theirs:
    return x.permute(0, 3, 1, 2)


def _channels_last(x: Theirs) -> Theirs:
    return x.permute(0, 2, 3, 1)


def _activated(step: Step, x: Theirs) -> Theirs:
    name = step.layer.activation.__name__
    if name == "relu":
        # Where x is zero within rounding, either side of the kink is right: take the model's.
        ours = torch.from_numpy(step.output.numpy().copy())
        return torch.where(x.abs() > nearly(step, x), torch.relu(x), x * (ours > 0))
    return ACTIVATIONS[name](x)


def _padded(layer: Any, x: Theirs, size: Any, value: float = 0.0) -> Theirs:
    """(N, H, W, C) as (N, C, H, W), with the padding of a layer's windows around it."""
    pairs = layer.padding
    if pairs == "valid":
        pairs = ((0, 0), (0, 0))
    elif pairs == "same":
        missing = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(x.shape[1:3], size, layer.strides, strict=True)
        ]
        pairs = [(m // 2, m - m // 2) for m in missing]
    (top, bottom), (left, right) = pairs
    return F.pad(_channels_first(x), (left, right, top, bottom), value=value)


def _conv(step: Step, own: Own, x: Theirs) -> Theirs:
    y = F.conv2d(
        _padded(step.layer, x, step.layer.kernel_size),
        own["kernel"].permute(3, 2, 0, 1),
        own.get("bias"),
        stride=step.layer.strides,
        groups=step.layer.groups,
    )
    return _activated(step, _channels_last(y))


def _dense(step: Step, own: Own, x: Theirs) -> Theirs:
    return _activated(step, F.linear(x, own["kernel"].T, own.get("bias")))


def _max_pool(step: Step, own: Own, x: Theirs) -> Theirs:
    layer, sizes = step.layer, (step.layer.pool_size, step.layer.strides)
    padded = _padded(layer, x, layer.pool_size, value=-torch.inf)
    ours = _padded(
        layer, torch.from_numpy(step.inputs[0].numpy().copy()), layer.pool_size, -torch.inf
    )
    largest, winner = F.max_pool2d(padded, *sizes, return_indices=True)
    # Where two are the largest within rounding, either may win: take the model's.
    _, other = F.max_pool2d(ours, *sizes, return_indices=True)
    candidate = torch.take_along_dim(padded.flatten(2), other.flatten(2), 2).view_as(largest)
    same = (other == winner) | (largest - candidate > nearly(step, x))
    return _channels_last(torch.where(same, largest, candidate))


def _average_pool(step: Step, own: Own, x: Theirs) -> Theirs:
    def sums(values: Theirs) -> Theirs:
        padded = _padded(step.layer, values, step.layer.pool_size)
        return F.avg_pool2d(padded, step.layer.pool_size, step.layer.strides, divisor_override=1)

    return _channels_last(sums(x) / sums(torch.ones_like(x)))


def _batch_norm(step: Step, own: Own, x: Theirs) -> Theirs:
    y = F.batch_norm(
        _channels_first(x), None, None, own["gamma"], own["beta"],
        training=True, eps=step.layer.epsilon,
    )  # fmt: skip
    return _channels_last(y)


def _local_response(step: Step, own: Own, x: Theirs) -> Theirs:
    y = F.local_response_norm(
        _channels_first(x),
        step.layer.n,
        step.layer.alpha * step.layer.n,
        step.layer.beta,
        step.layer.k,
    )
    return _channels_last(y)


def _dropout(step: Step, own: Own, x: Theirs) -> Theirs:
    assert step.layer.rate == 0, "the two would draw different masks"
    return x


def _subsampling(step: Step, own: Own, x: Theirs) -> Theirs:
    sums = _channels_last(F.avg_pool2d(_channels_first(x), 2, divisor_override=1))
    return _squash(own["coefficient"] * sums + own["bias"])


def _table_conv(step: Step, own: Own, x: Theirs) -> Theirs:
    """Map by map, on the inputs that its column of table I names."""
    table, maps, used = TABLE_I.split(), [], {}
    places = [(i, o) for i, row in enumerate(table) for o, c in enumerate(row) if c == "X"]
    used = {place: own["kernel"][:, :, k] for k, place in enumerate(places)}
    for o in range(len(table[0])):
        seen = [i for i in range(len(table)) if (i, o) in used]
        kernel = torch.stack([used[i, o] for i in seen])[None]
        maps.append(F.conv2d(_channels_first(x)[:, seen], kernel, own["bias"][o : o + 1]))
    return _squash(_channels_last(torch.cat(maps, dim=1)))


def _squash(x: Theirs) -> Theirs:
    return 1.7159 * torch.tanh(x * (2 / 3))


ACTIVATIONS: dict[str, Callable[[Theirs], Theirs]] = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, dim=-1),
    squash.__name__: _squash,
}

#: What PyTorch makes of each layer: (call, its weights by attribute, inputs) to the output.
TWINS: dict[type, Callable[..., Theirs]] = {
    gt.layers.Conv2D: _conv,
    gt.layers.Dense: _dense,
    gt.layers.MaxPooling2D: _max_pool,
    gt.layers.AveragePooling2D: _average_pool,
    gt.layers.Dropout: _dropout,
    gt.layers.InputLayer: lambda step, own, x: x,
    gt.layers.Flatten: lambda step, own, x: torch.flatten(x, 1),
    gt.layers.Activation: lambda step, own, x: _activated(step, x),
    gt.layers.GlobalAveragePooling2D: lambda step, own, x: x.mean(dim=(1, 2)),
    Subsampling: _subsampling,
    TableConvolution: _table_conv,
    EuclideanRBF: lambda step, own, x: -torch.cdist(x, own["codes"]).square(),
    gt.layers.BatchNormalization: _batch_norm,
    gt.layers.LocalResponseNormalization: _local_response,
    gt.layers.Add: lambda step, own, *xs: sum(xs),
    gt.layers.Rescaling: lambda step, own, x: x * step.layer.scale + step.layer.offset,
    gt.layers.Concatenate: lambda step, own, *xs: torch.cat(xs, dim=-1),
}
