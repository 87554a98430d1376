"""Data for training: arrays checked once, then cut into batches, in an order keyed by the epoch."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..autograd.tree import is_structure
from ..config.checked import NotNegative, argument, kind_of
from ..config.settings import count_of
from ..config.tracebacks import warn
from ..random import generator

Array = np.ndarray
#: Inputs, targets and weights of some samples; targets and weights may be None.
Batch = tuple[Any, Any, Any]

DEFAULT_BATCH_SIZE = 32
#: Numbers that are looked at before training; all of them, if the loss is not finite.
GLANCE = 1 << 21


class ArrayData:
    """Samples in arrays: inputs, targets and weights that share their first axis.

    Args:
        x: inputs of shape (N, ...): an array of any numeric dtype (it keeps its dtype), a tensor,
            or a list; or a list or dict of several of these.
        y: targets of shape (N, ...), or several, or None.
        sample_weight: weights of shape (N,) or (N, ...), or several, or None.
        batch_size: samples in a batch; the last may have fewer. Default: 32.
        shuffle: whether each epoch has an order of its own.
        name: what the data is called in an error, as in ``"validation_data"``.
        counts: how many inputs and outputs the model has: tells a list of several arrays from one
            array as a list. None: not known, so a list of arrays is several.

    Raises:
        ValueError: no samples, different numbers of them, or a batch size below 1.
        TypeError: something that is not an array of numbers.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool = False,
        name: str = "",
        counts: tuple[int | None, int | None] = (1, 1),
    ) -> None:
        prefix = f"{name}: " if name else ""
        if x is None:
            raise ValueError(f"{prefix}x is missing: pass the inputs as an array.")
        self.arrays: dict[str, Array] = {}
        self._several: dict[str, Any] = {}
        self._enter("x", x, prefix, counts[0])
        self._enter("y", y, prefix, counts[1])
        self._enter("sample_weight", sample_weight, prefix, counts[1])
        self.name = name
        self._counts = counts
        size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
        self.batch_size = count_of(size, "batch_size")
        self.shuffle = shuffle
        sizes = {k: len(v) for k, v in self.arrays.items()}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{k} has {n}" for k, n in sizes.items())
            raise ValueError(
                f"{prefix}x, y and sample_weight must have the same number of samples (the length "
                f"of their first axis): {listed}."
            )
        if not len(self):
            key, array = next(iter(self.arrays.items()))
            raise ValueError(f"{prefix}{key} has no samples: its shape is {array.shape}.")

    def _enter(self, key: str, given: Any, prefix: str, count: int | None) -> None:
        """Keep an array by its name, or several by names of their own and their arrangement."""
        if given is None:
            return
        if isinstance(given, (list, tuple)) and len(given) == 1 and count == 1:
            only = given[0]  # a list of one array, unless that is one sample
            if isinstance(only, (np.ndarray, Tensor)) and only.ndim and self._fits(key, only):
                given = only
        listed = is_structure(given) if count is None else count > 1
        if not isinstance(given, dict) and not (listed and isinstance(given, (list, tuple))):
            self.arrays[key] = as_array(given, prefix + key)
            return
        if not isinstance(given, dict):
            given = list(given)
        pairs = given.items() if isinstance(given, dict) else enumerate(given)
        names = {k: f"{key}[{k!r}]" for k, v in pairs if v is not None}
        if not names:
            raise ValueError(f"{prefix}{key} is an empty {type(given).__name__}.")
        self.arrays |= {name: as_array(given[k], prefix + name) for k, name in names.items()}
        self._several[key] = (
            names if isinstance(given, dict) else [names.get(i) for i in range(len(given))]
        )

    def _fits(self, key: str, array: Any) -> bool:
        return array.ndim > 1 if key == "x" else len(array) == len(self) > 1

    def _arranged(self, key: str, arrays: dict[str, Array]) -> Any:
        """One array, or several as they were given, or None."""
        names = self._several.get(key) if self._several else None
        if names is None:
            return arrays.get(key)
        if isinstance(names, dict):
            return {k: arrays[name] for k, name in names.items()}
        return [None if name is None else arrays[name] for name in names]

    @property
    def x(self) -> Any:
        return self._arranged("x", self.arrays)

    @property
    def y(self) -> Any:
        return self._arranged("y", self.arrays)

    @property
    def sample_weight(self) -> Any:
        return self._arranged("sample_weight", self.arrays)

    def __len__(self) -> int:
        """The number of samples."""
        return len(next(iter(self.arrays.values())))

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self) // self.batch_size)

    def part(self, index: Any) -> Batch:
        """The samples at a slice, or at an array of positions."""
        if isinstance(index, slice):
            parts = {k: v[index] for k, v in self.arrays.items()}
        else:
            parts = {k: v.take(index, axis=0) for k, v in self.arrays.items()}
        if not self._several:
            return parts["x"], parts.get("y"), parts.get("sample_weight")
        return tuple(self._arranged(k, parts) for k in ("x", "y", "sample_weight"))

    def batches(
        self, *address: int, start: int = 0, most: int | None = None
    ) -> Generator[Batch, None, None]:
        """The batches of an epoch.

        Args:
            address: which epoch; with `shuffle`, equal addresses give equal orders.
            start: how many batches to leave out.
            most: how many will be asked for at most; None: all.
        """
        order = generator("shuffle", *address).permutation(len(self)) if self.shuffle else None
        for first in range(start * self.batch_size, len(self), self.batch_size):
            span = slice(first, first + self.batch_size)
            yield self.part(span if order is None else order[span])

    def sample(self) -> ArrayData:
        """Data to look at before training: all of it."""
        return self

    def weigh(self, class_weight: Mapping[int, float]) -> None:
        """Weigh the samples by their class; see `class_weights`.

        Raises:
            ValueError: they have weights of their own.
        """
        weights = weights_of_classes(self.y, self.sample_weight, class_weight)
        named = [label for label, weight in class_weight.items() if weight != 1]
        if named and len(weights) and (weights == 1).all():
            warn(
                f"class_weight changes nothing: of its classes {reprlib.repr(named)}, none is "
                "among the targets. Are the labels numbers from 0 on, one for each output?"
            )
        self.arrays["sample_weight"] = weights

    def split(self, fraction: float) -> tuple[ArrayData, ArrayData]:
        """The first samples, and the last `fraction` of them (unshuffled) for validation.

        Raises:
            ValueError: the fraction is not between 0 and 1, or leaves one side empty.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"validation_split must lie between 0 and 1, received {fraction}.")
        cut = math.floor(len(self) * (1 - fraction))
        if cut in (0, len(self)):
            side = "training" if cut == 0 else "validation"
            raise ValueError(
                f"validation_split={fraction} of {len(self)} samples leaves none for {side}."
            )
        train, validation = (
            ArrayData(*self.part(span), self.batch_size, self.shuffle, self.name, self._counts)
            for span in (slice(cut), slice(cut, None))
        )
        validation.shuffle = False
        return train, validation

    def not_finite(self, glance: bool = False) -> str | None:
        """Which inputs and targets are NaN or infinite, in words.

        Args:
            glance: whether to look at some samples only, if there are many.
        """
        prefix = f"{self.name}: " if self.name else ""
        found = [_not_finite(prefix + k, v, glance) for k, v in self.arrays.items()]
        return " ".join(text for text in found if text) or None


def as_array(values: Any, name: str) -> Array:
    """Numbers as an array with a first axis of samples; arrays are neither copied nor converted.

    Raises:
        TypeError: no numbers, or rows of different lengths.
        ValueError: a single number.
    """
    if isinstance(values, Tensor):
        return _with_samples(values.data, name)
    if hasattr(values, "detach"):  # of PyTorch, which converts only what has no gradient
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(
            f"{name} cannot be made an array, its parts differ in shape: {error}. Pad or crop them "
            "to one shape, or pass one array."
        ) from error
    if array.dtype.kind in "biuf":
        return _with_samples(array, name)
    kind = type(values).__name__ if array.dtype == object and not array.ndim else array.dtype
    fix = (
        f"Number the classes: np.unique({name}, return_inverse=True)."
        if array.dtype.kind in "US"
        else "Convert it, for example with np.array(..., dtype='float32')."
    )
    raise TypeError(f"{name} must be an array of numbers, received {kind}. {fix}")


def _with_samples(array: Array, name: str) -> Array:
    if not array.ndim:
        raise ValueError(
            f"{name} must have a first axis of samples, received the single number {array}."
        )
    return array


def _not_finite(name: str, values: Array, glance: bool) -> str | None:
    if values.dtype.kind != "f" or isinstance(values, np.memmap):
        return None
    if glance and values.size > GLANCE:
        few = values[:: -(-values.size // GLANCE)]
        with np.errstate(all="ignore"):
            if np.isfinite(few.sum()):
                return None
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return None
    bad = ~np.isfinite(values)
    if not bad.any():  # the sum overflowed, no value did
        return None
    first = tuple(np.argwhere(bad)[0].tolist())
    samples = np.count_nonzero(bad.reshape(len(bad), -1).any(axis=1))
    return (
        f"{name} holds {np.count_nonzero(bad)} values that are NaN or infinite, in {samples} of "
        f"{len(values)} samples; the first is {values[first]} at index "
        f"{first[0] if len(first) == 1 else first}."
    )


def unpack_x_y_sample_weight(data: Any) -> Batch:
    """Inputs, targets and weights out of what a step receives, None for what is missing.

    Args:
        data: ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` as a tuple or list; anything else
            is `x` alone.

    Raises:
        ValueError: a tuple or list of another length.
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "A batch must be x, (x,), (x, y) or (x, y, sample_weight), received "
            f"{len(data)} elements: {reprlib.repr(data)}."
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step receives for a batch: `x`, ``(x, y)`` or ``(x, y, sample_weight)``.

    Inputs alone that are a list or tuple become ``(x,)``, which cannot be mistaken for a pair.
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


def weights_of_classes(y: Any, sample_weight: Any, class_weight: Mapping[int, float]) -> Array:
    """Weights by class, where the samples have none of their own; see `class_weights`.

    Raises:
        ValueError: they have, or there are no targets.
    """
    if sample_weight is not None:
        raise ValueError("A sample is weighed by class_weight or sample_weight, not both.")
    if y is None:
        raise ValueError("class_weight needs the targets y, which hold the classes.")
    return class_weights(y, class_weight)


def class_weights(y: Any, class_weight: Mapping[int, float]) -> Array:
    """The weight of each sample by its class; classes that are not mentioned weigh 1.

    Args:
        y: class numbers of shape (N,) or (N, 1), or one-hot targets of shape (N, classes).
        class_weight: from class number to weight.

    Returns:
        Weights of shape (N,), float32.

    Raises:
        TypeError: `class_weight` is not a mapping.
        ValueError: the targets are not classes of samples.
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "class_weight must map class numbers to weights, as in {0: 1.0, 1: 5.0}, received "
            f"{reprlib.repr(class_weight)}."
        )
    if is_structure(y):
        raise ValueError(
            "class_weight is for models with one output. Pass sample_weight, a list with the "
            "weights of the samples for each output."
        )
    labels = as_array(y, "y")
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    if labels.ndim != 1:
        raise ValueError(
            f"class_weight needs one class per sample, received targets of shape {labels.shape}. "
            "Pass sample_weight instead."
        )
    for label, weight in class_weight.items():
        argument("class_weight", f"the class {label!r}", label, kind_of(int))
        argument("class_weight", f"the weight of class {label}", weight, kind_of(NotNegative))
    classes, positions = np.unique(np.rint(labels).astype(np.int64), return_inverse=True)
    table = [float(class_weight.get(c, 1.0)) for c in classes.tolist()]
    return np.array(table, np.float32)[positions]
