"""Sequences and splits: padding, windows of time series, two parts of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..autograd.tree import tree_leaves, tree_map
from ..config.checked import Count, Natural, checked
from ..config.settings import count_of
from ..data.data import as_array
from ..data.dataset import PyDataset
from ..random import generator

Array = np.ndarray


@checked
def pad_sequences(
    sequences: Iterable[Sequence[Any]],
    maxlen: Natural | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> Array:
    """Sequences of different lengths as one array.

    Args:
        sequences: each of shape (length, ...).
        maxlen: the length of all. Default: that of the longest.
        dtype: of the result.
        padding: whether short ones get values ``"pre"`` or ``"post"``, before or after.
        truncating: whether long ones lose their beginning (``"pre"``) or their end (``"post"``).
        value: what to pad with.

    Returns:
        An array of shape (sequences, maxlen, ...).

    Raises:
        ValueError: a setting that is neither "pre" nor "post", or sequences of different shapes
            after axis 0.
    """
    for name, setting in (("padding", padding), ("truncating", truncating)):
        if setting not in ("pre", "post"):
            raise ValueError(f"{name} must be 'pre' or 'post', received {setting!r}.")
    arrays = [np.asarray(s) for s in sequences]
    wrong = [i for i, a in enumerate(arrays) if a.ndim == 0]
    if wrong:
        raise ValueError(
            f"pad_sequences() expects a list of sequences; number {wrong[0]} is a single value, "
            f"{arrays[wrong[0]].item()!r}."
        )
    length = max((len(a) for a in arrays), default=0) if maxlen is None else maxlen
    tails = {a.shape[1:] for a in arrays if len(a)}
    if len(tails) > 1:
        raise ValueError(f"Sequences must agree after axis 0, received {sorted(tails)}.")
    tail = tails.pop() if tails else ()
    result = np.full((len(arrays), length, *tail), value, dtype)
    for row, array in zip(result, arrays, strict=True):
        kept = array[max(0, len(array) - length) :] if truncating == "pre" else array[:length]
        if len(kept):
            row[slice(length - len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return result


@checked
def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Two parts of a data set.

    Args:
        dataset: an array of shape (N, ...), or a list, tuple or dict of such arrays; or batches or
            samples: a list of anything else, or what has a length and numbered items.
        left_size, right_size: of the parts: a share of the samples (or batches) as a float between
            0 and 1, or a number of them. One may be missing.
        shuffle: whether to choose at random.
        seed: of that choice. Default: from the global seed.

    Returns:
        Both parts, arranged as they were given (batches as lists).

    Raises:
        ValueError: sizes that do not fit or leave a part empty, or arrays of different lengths.
        TypeError: something that is no data set.
    """
    leaves = list(tree_leaves(dataset))
    arrays = bool(leaves) and all(hasattr(a, "__array__") for a in leaves)
    if isinstance(dataset, list):  # a list of tuples is one of batches
        arrays = arrays and all(hasattr(a, "__array__") for a in dataset)
    if not arrays and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            "split_dataset() expects arrays, or something with a length and numbered items, "
            f"received {type(dataset).__name__}."
        )
    if arrays:
        dataset = tree_map(lambda a: a.data if isinstance(a, Tensor) else np.asarray(a), dataset)
    counts = {len(a) for a in tree_leaves(dataset)} if arrays else {len(dataset)}
    if len(counts) != 1:
        raise ValueError(f"The arrays have different lengths: {sorted(counts)}.")
    count = counts.pop()
    left, right = _sizes(count, left_size, right_size)
    order = np.arange(count)
    if shuffle:
        generator("split_dataset", seed=seed).shuffle(order)
    first, second = order[:left], order[left : left + right]
    if arrays:
        return tree_map(lambda a: a[first], dataset), tree_map(lambda a: a[second], dataset)
    return [dataset[int(i)] for i in first], [dataset[int(i)] for i in second]


def _sizes(count: int, left: float | int | None, right: float | int | None) -> tuple[int, int]:
    """Both sizes as numbers of samples."""
    if left is None and right is None:
        raise ValueError("split_dataset() needs left_size, right_size or both.")

    def size(given: float | int | None, name: str, whole: Callable[[float], int]) -> int | None:
        if given is None:
            return None
        if isinstance(given, (float, np.floating)):
            if not 0 < given < 1:
                raise ValueError(
                    f"{name} must be a share between 0 and 1 or a count, received {given}."
                )
            return whole(given * count)
        return count_of(given, name)

    first, second = size(left, "left_size", round), size(right, "right_size", round)
    first = count - (second or 0) if first is None else first
    second = count - first if second is None else second
    if first < 1 or second < 1 or first + second > count:
        raise ValueError(
            f"left_size={left} and right_size={right} do not fit: there are {count} samples, "
            "and each part must get one or more."
        )
    return first, second


class Batches(PyDataset):
    """Batches made when they are asked for: a sequence that `fit`, `evaluate` and `predict` take.

    Args:
        count: how many samples there are.
        batch_size: samples in a batch; the last may have fewer.
        make: from the numbers of samples to a batch.
        shuffle: whether each epoch has an order of its own.
        seed: of that order. Default: from the global seed.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        make: Callable[[Array], Any],
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.count, self.batch_size = count, batch_size
        self._make, self._shuffle, self._seed = make, shuffle, seed
        self._epoch = 0
        self._arrange()

    def _arrange(self) -> None:
        self._order = np.arange(self.count)
        if self._shuffle:
            generator("Batches", self._epoch, seed=self._seed).shuffle(self._order)

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There are {len(self)} batches, and none has the number {index}.")
        start = range(len(self))[index] * self.batch_size
        return self._make(self._order[start : start + self.batch_size])

    def on_epoch_end(self) -> None:
        """Choose the order of the next epoch."""
        self._epoch += 1
        self._arrange()


@checked
def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: Count,
    sequence_stride: Count = 1,
    sampling_rate: Count = 1,
    batch_size: Count | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: Natural | None = None,
    end_index: int | None = None,
) -> Batches:
    """Windows of a time series, and what comes after them.

    Args:
        data: shape (time, ...).
        targets: ``targets[i]`` belongs to the window that starts at i; or None.
        sequence_length: samples in a window.
        sequence_stride: steps from one window to the next.
        sampling_rate: steps from one sample in a window to the next.
        batch_size: windows in a batch; None: single windows.
        shuffle: whether each epoch has an order of its own.
        seed: of that order.
        start_index, end_index: the part of the data to use.

    Returns:
        Batches of windows (batch, sequence_length, ...), with their targets unless they are None.

    Raises:
        ValueError: a count below 1, or no window fits.
    """
    series = as_array(data, "data")
    first = start_index or 0
    end = len(series) if end_index is None else min(end_index, len(series))
    # As in Keras: a window may begin where its last sample still lies before the end.
    last = end - (sequence_length - 1) * sampling_rate
    goals = None if targets is None else np.asarray(targets)
    if goals is not None:
        last = min(last, len(goals))
    starts = np.arange(first, last, sequence_stride)
    if not len(starts):
        raise ValueError(
            f"No window of {sequence_length} samples, every {sampling_rate} steps, fits into "
            f"{end - first} steps."
        )
    offsets = np.arange(sequence_length) * sampling_rate

    def make(rows: Array) -> Any:
        at = starts[rows]
        windows = series[at[:, None] + offsets]
        if goals is None:
            return (windows if batch_size else windows[0],)
        wanted = goals[at]
        return (windows, wanted) if batch_size else (windows[0], wanted[0])

    return Batches(len(starts), batch_size or 1, make, shuffle, seed)
