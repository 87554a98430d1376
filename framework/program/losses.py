"""Losses: which value they take, which kernel computes them, and how their targets get there.

Predictions (batch, ..., d) are pixels of d features each, and every pixel has a loss of its own: a
class prediction for an image is one pixel, a segmentation has many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..config.naming import is_own
from ..kernels import errors, shards
from ..kernels import loss as kernels
from ..kernels.native import Kernel
from ..kernels.simd import SHARD, bits_of
from .build import COUNT, Buffer
from .graph import Graph, NotNative, Shape
from .lowering import Lowering
from .watching import patched

Array = np.ndarray


class Form(NamedTuple):
    """How a loss is computed.

    Attributes:
        kernel: see `kernels.errors` and `kernels.loss`.
        settings: what the kernel takes after the number of features.
        labels: whether targets are class numbers (batch, ...), not arrays like the predictions.
        signs: whether targets of 0 and 1 mean -1 and 1.
        before: whether the value is not the output, but what its softmax is taken of.
    """

    kernel: Kernel
    settings: tuple[int, ...] = ()
    labels: bool = False
    signs: bool = False
    before: bool = False


def _elementwise(
    expression: str, *settings: float, smoothing: float = 0.0, mean_of: int = 1, signs: bool = False
) -> Form:
    numbers = [1 - smoothing, smoothing / 2, 1 / mean_of, *settings, *(0.0,) * (2 - len(settings))]
    kernel = errors.elementwise(expression)
    return Form(kernel, tuple(bits_of(n) for n in numbers), signs=signs)


def _mean(expression: str, signs: bool = False) -> Callable[..., Form]:
    return lambda loss, features, softmax: _elementwise(expression, mean_of=features, signs=signs)


def _huber(loss: Any, features: int, softmax: bool) -> Form:
    return _elementwise("huber", loss.delta, mean_of=features)


def _binary(loss: Any, features: int, softmax: bool) -> Form:
    expression = "binary_logits" if loss.from_logits else "binary"
    return _elementwise(expression, smoothing=loss.label_smoothing, mean_of=features)


def _binary_focal(loss: Any, features: int, softmax: bool) -> Form:
    expression = "focal_logits" if loss.from_logits else "focal"
    alpha = loss.alpha if loss.apply_class_balancing else -1.0
    return _elementwise(
        expression, alpha, loss.gamma, smoothing=loss.label_smoothing, mean_of=features
    )


def _categorical(loss: Any, features: int, softmax: bool) -> Form:
    smoothing = loss.label_smoothing
    numbers = tuple(bits_of(n) for n in (1 - smoothing, smoothing / features))
    if loss.from_logits or softmax:
        smallest = 0.0 if loss.from_logits else errors.SMALLEST
        settings = (*numbers, bits_of(smallest))
        return Form(kernels.dense_cross_entropy, settings, before=not loss.from_logits)
    return Form(kernels.of_shares("cross_entropy"), (*numbers, 0, 0, 0, 0))


def _categorical_focal(loss: Any, features: int, softmax: bool) -> Form:
    if np.ndim(loss.alpha):
        raise NotNative("the loss has a factor for each class")
    smoothing = loss.label_smoothing
    numbers = (1 - smoothing, smoothing / features, loss.alpha, loss.gamma)
    settings = (*(bits_of(n) for n in numbers), int(loss.from_logits), 0)
    return Form(kernels.of_shares("focal"), settings)


def _sparse(loss: Any, features: int, softmax: bool) -> Form:
    if loss.from_logits or softmax:
        smallest = 0.0 if loss.from_logits else errors.SMALLEST
        settings = (bits_of(smallest),)
        return Form(
            kernels.sparse_cross_entropy, settings, labels=True, before=not loss.from_logits
        )
    return Form(kernels.of_shares("cross_entropy"), (bits_of(1.0), 0, 0, 0, 0, 1), labels=True)


def _plain(kernel: Kernel) -> Callable[..., Form]:
    return lambda loss, features, softmax: Form(kernel)


#: The form of each class of loss, from its settings, the number of features, and whether the
#: output is a softmax.
FORMS: dict[str, Callable[[Any, int, bool], Form]] = {
    "MeanSquaredError": _mean("squared"),
    "MeanAbsoluteError": _mean("absolute"),
    "MeanAbsolutePercentageError": _mean("percentage"),
    "MeanSquaredLogarithmicError": _mean("logarithmic"),
    "Huber": _huber,
    "LogCosh": _mean("log_cosh"),
    "Poisson": _mean("poisson"),
    "KLDivergence": lambda loss, features, softmax: _elementwise("divergence"),
    "Hinge": _mean("hinge", signs=True),
    "SquaredHinge": _mean("squared_hinge", signs=True),
    "CategoricalHinge": _plain(kernels.categorical_hinge),
    "CosineSimilarity": _plain(kernels.cosine),
    "BinaryCrossentropy": _binary,
    "BinaryFocalCrossentropy": _binary_focal,
    "CategoricalCrossentropy": _categorical,
    "CategoricalFocalCrossentropy": _categorical_focal,
    "SparseCategoricalCrossentropy": _sparse,
}


class LossPlan:
    """A loss of a graph's output.

    Args:
        loss: an instance of a class of this package.
        graph: the model.

    Attributes:
        value: what the gradient is given for.
        losses: the losses of the pixels of a shard, weighed.

    Raises:
        NotNative: the loss has no lowering, or not for this output.
    """

    def __init__(self, loss: Any, graph: Graph) -> None:
        name = type(loss).__name__
        if not is_own(type(loss)) or patched(loss) or name not in FORMS:
            raise NotNative(f"the loss {name} has no lowering")
        self.shape = graph.shapes[graph.output]
        if not self.shape:
            raise NotNative("the loss is taken over outputs that are single numbers")
        if getattr(loss, "dtype", None) not in (None, "float32"):
            raise NotNative(f"the loss computes in {loss.dtype}")
        if getattr(loss, "axis", -1) not in (-1, len(self.shape)):
            raise NotNative(f"the loss has its classes at axis {loss.axis}")
        *grid, self.features = self.shape
        self.grid: Shape = tuple(grid)
        self.pixels = math.prod(grid)
        self.reduction = loss.reduction
        self.ignored = getattr(loss, "ignore_class", None)
        last = next((n for n in graph.nodes if n.output == graph.output), None)
        softmax = last is not None and last.op == "softmax" and _along_features(last, self.features)
        self.form = FORMS[name](loss, self.features, softmax)
        self.value = graph.output
        if self.form.before and last is not None:
            self.value = last.inputs[0]

    def emit(self, low: Lowering, trains: bool) -> None:
        """Emit the loss, and (`trains`) the gradient of its value."""
        low.build.note = "loss"
        self.losses, self.weights = (
            low.build.buffer(self.pixels * SHARD, name, "batch") for name in ("losses", "weights")
        )
        if self.form.labels:
            self.targets = targets = low.build.buffer(self.pixels * SHARD, "labels", "batch")
        else:
            numbers = self.pixels * self.features
            self.targets = low.build.buffer(numbers * SHARD, "targets", "outside")
            targets = low.build.buffer(numbers * SHARD, "targets of a shard", "pinned")
            low.build.emit(shards.gather, targets, self.targets, COUNT, 1, 1, numbers, 0, 0, 1)

        def emit(gradient: Buffer | int) -> None:
            arrays = (self.losses, gradient, low.values[self.value], targets, self.weights)
            numbers = (self.pixels, self.features, *self.form.settings)
            low.build.emit(self.form.kernel, *arrays, *numbers)

        if not trains:
            emit(0)
        elif not low.needs_gradient(self.value):
            raise NotNative("nothing that is trained reaches the loss")
        else:
            low.give(self.value, emit)

    def accepts(self, y: Any, count: int, sample_weight: Any = None) -> bool:
        """Whether targets and weights have the form that the kernel takes."""
        array = np.asarray(y)
        shape = (count, *self.grid)
        if sample_weight is not None and _aligned(np.asarray(sample_weight), shape) is None:
            return False
        if self.form.labels:
            return array.dtype.kind in "biuf" and array.shape in (shape, (*shape, 1))
        fits = array.shape == (count, *self.shape)
        alone = not self.grid and self.features == 1 and array.shape == (count,)
        return array.dtype.kind in "biuf" and (fits or alone)

    def weight(self, sample_weight: Array | None, mask: Array | None, batch: int) -> Any:
        """What each pixel's loss counts in the sum: an array (batch, ...), or one number."""
        shape = (batch, *self.grid)
        weight: Any = 1.0 if sample_weight is None else _aligned(sample_weight, shape)
        if mask is not None:
            counted = mask.astype(np.float32)
            if self.reduction in ("mean", "sum_over_batch_size"):
                counted *= counted.size / max(float(counted.sum()), 1.0)
            weight = weight * counted
        if self.reduction == "sum":
            return weight
        if self.reduction == "mean_with_sample_weight" and np.ndim(weight):
            total = float(np.sum(weight))
            return weight / total if total else 0.0
        return weight / math.prod(shape)

    def place(self, program: Any) -> Callable[[Array, Array | None], Any]:
        """A function that puts targets and weights where a finished program reads them.

        It returns what the caller has to keep alive during the run.
        """
        batch, shape = program.batch, (program.batch, *self.grid)
        weights = _Lanes(program.view(self.weights), batch, self.pixels)
        labels = None
        if self.form.labels:
            labels = _Lanes(program.view(self.targets), batch, self.pixels)

        def put(y: Array, sample_weight: Array | None) -> Any:
            if labels is None:
                weights.put(self.weight(sample_weight, None, batch), shape)
                array = np.ascontiguousarray(y, np.float32)
                if self.form.signs and ((array == 0) | (array == 1)).all():
                    array = 2 * array - 1
                program.point(self.targets, array)
                return array
            given = y.reshape(shape)
            mask = None if self.ignored is None else given != self.ignored
            labels.put(given, shape)
            weights.put(self.weight(sample_weight, mask, batch), shape)
            return None

        return put

    def total(self, program: Any) -> np.float32:
        """The loss of the batch that has just run."""
        return np.float32(program.view(self.losses).sum(dtype=np.float64))


class _Lanes:
    """Numbers of pixels, where a program has them: (shards, pixels, SHARD).

    Args:
        view: the array of the program.
        batch: samples; the lanes of the last shard that have none stay 0.
        pixels: of a sample.
    """

    def __init__(self, view: Array, batch: int, pixels: int) -> None:
        self.batch = batch
        self.lanes = view.reshape(-1, pixels, SHARD)
        self.flat = view.reshape(-1)[:batch] if pixels == 1 else None
        self._constant: float | None = None

    def put(self, values: Any, shape: Shape) -> None:
        """Write numbers (batch, ...), or one for all."""
        if np.ndim(values) == 0:
            if self._constant == values:
                return
            self._constant = float(values)
        else:
            self._constant = None
        if self.flat is not None:
            self.flat[:] = values if np.ndim(values) == 0 else values.reshape(-1)
            return
        full, rest = divmod(self.batch, SHARD)
        pixels = self.lanes.shape[1]
        wide = np.broadcast_to(values, shape).reshape(self.batch, pixels)
        whole = wide[: full * SHARD].reshape(full, SHARD, pixels)
        self.lanes[:full] = whole.transpose(0, 2, 1)
        if rest:
            self.lanes[full, :, :rest] = wide[full * SHARD :].T


def _aligned(weight: Array, shape: Shape) -> Array | None:
    """Weights as an array that broadcasts to the losses of pixels; None if they do not fit.

    Weights (batch,) belong to the samples, and a last axis of 1 too many is left out.
    """
    if weight.ndim == len(shape) + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    given: Shape = (*weight.shape, *(1,) * (len(shape) - weight.ndim))
    if len(given) != len(shape) or given[0] != shape[0]:
        return None
    fits = all([n in (1, m) for n, m in zip(given, shape, strict=True)])
    return weight.reshape(given) if fits else None


def _along_features(node: Any, features: int) -> bool:
    """Whether a softmax is taken along the last axis."""
    _, length, inner = node.settings["runs"]
    return bool(inner == 1 and length == features)
