"""Where batches come from: arrays, or whatever yields batches; and how epochs are cut from them."""

from __future__ import annotations

import itertools
import numbers
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..config.settings import count_of
from ..config.tracebacks import warn
from ..errors import counted
from ..random import generator
from .data import ArrayData, Batch, unpack_x_y_sample_weight, weights_of_classes

#: How many inputs and outputs a model has, None where it cannot tell.
Counts = tuple[int | None, int | None]


def yields_batches(x: Any) -> bool:
    """Whether this is a source of batches rather than samples.

    That is a `PyDataset` or another sequence class with ``__getitem__``, a generator, a data loader
    or any other iterable that is no array; a list only if it holds tuples.
    """
    if isinstance(x, list):
        return bool(x) and all(isinstance(b, tuple) and 1 <= len(b) <= 3 for b in x) and _arrays(x)
    if isinstance(x, (tuple, np.ndarray, Tensor, Mapping, str, bytes, range, numbers.Number)):
        return False
    if hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__getitem__")


def _arrays(batches: Any) -> bool:
    return all(np.ndim(part) > 0 for batch in batches for part in batch[:1])


def once(source: Any) -> Iterator[Any]:
    """The batches of one pass through a source, as they are.

    Raises:
        ValueError: it would never end.
    """
    if not hasattr(source, "__getitem__"):
        return iter(source)
    steps = _length(source)
    if steps is None:
        raise ValueError(
            f"data is a {type(source).__name__} without a length, which never ends: give it "
            "__len__, or pass some of its batches."
        )
    return map(source.__getitem__, range(steps))


class BatchData:
    """Samples that come in batches, each checked and made arrays when it comes.

    Args:
        source: a sequence of batches with ``__getitem__`` (a `PyDataset`, or one of Keras), or an
            iterable of them, such as a generator or a PyTorch ``DataLoader``. A batch is ``x``,
            ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)`` of arrays, tensors, lists or dicts.
        shuffle: whether the batches of a sequence with a length come in another order each time.
        name: what the data is called in an error.
        counts: how many inputs and outputs the model has.

    Attributes:
        steps: the batches of a pass; None if it is not known (yet).
        once: whether the source can be gone through only once.
        indexed: whether batches are asked for by number, so that a pass can go on anywhere.

    Raises:
        ValueError: there is no batch.
        TypeError: the source is not iterable.
    """

    def __init__(
        self, source: Any, shuffle: bool = False, name: str = "", counts: Counts = (1, 1)
    ) -> None:
        self.source = source
        self.name = name
        self._counts = counts
        self._class_weight: Mapping[int, float] | None = None
        self.indexed = hasattr(source, "__getitem__") and not isinstance(source, (list, tuple))
        self.once = not self.indexed and iter(source) is source
        self.steps = _length(source)
        if self.steps == 0:
            raise ValueError(f"{self._prefix}the data has no batches: its length is 0.")
        self.shuffle = shuffle and self.indexed and self.steps is not None
        self._waiting: Iterator[Any] | None = None  # a pass that `sample` has begun

    @property
    def _prefix(self) -> str:
        return f"{self.name}: " if self.name else ""

    def weigh(self, class_weight: Mapping[int, float]) -> None:
        """Weigh the samples of every batch by their class; see `ArrayData.weigh`."""
        self._class_weight = class_weight

    def sample(self) -> ArrayData:
        """The first batch, which will come again.

        Raises:
            ValueError: there is none.
        """
        if self.indexed:
            first = self.source[0]
        else:
            raw = self._waiting or iter(self.source)
            first = next(raw, None)
            if first is None:
                raise ValueError(f"{self._prefix}the data has no batches: it ended at once.")
            self._waiting = itertools.chain([first], raw)
        return self._read(first)

    def batches(
        self, *address: int, start: int = 0, most: int | None = None
    ) -> Generator[Batch, None, None]:
        """The batches of a pass; arguments as for `ArrayData.batches`."""
        # What has been done before is skipped at once: a source may draw random numbers on the way.
        return self._checked(self._raw(*address, start=start, most=most), start)

    def _checked(self, raw: Iterator[Any], count: int) -> Generator[Batch, None, None]:
        for batch in raw:
            data = self._read(batch)
            yield data.x, data.y, data.sample_weight
            count += 1
        if self.steps is None and not self.once and not self.indexed:
            self.steps = count

    def _raw(self, *address: int, start: int, most: int | None) -> Iterator[Any]:
        if not self.indexed:
            raw, self._waiting = self._waiting or iter(self.source), None
            deque(itertools.islice(raw, start), maxlen=0)
            return raw
        order: Iterable[int]
        if self.steps is None:
            order = itertools.count(start)
        elif self.shuffle:
            order = generator("shuffle", *address).permutation(self.steps)[start:].tolist()
        else:
            order = range(start, self.steps)
        # What comes after this epoch is not made ahead: the source may change between epochs.
        order = itertools.islice(order, most)
        settings = ("workers", 1), ("max_queue_size", 10), ("use_multiprocessing", False)
        workers, ahead, processes = (getattr(self.source, *setting) for setting in settings)
        if workers > 1 or (workers == 1 and processes):
            return _made_ahead(self.source.__getitem__, order, workers, ahead)
        return map(self.source.__getitem__, order)

    def _read(self, batch: Any) -> ArrayData:
        """A batch as arrays."""
        data = ArrayData(
            *unpack_x_y_sample_weight(batch), name=self.name or "batch", counts=self._counts
        )
        if self._class_weight is not None:
            data.arrays["sample_weight"] = weights_of_classes(
                data.y, data.sample_weight, self._class_weight
            )
        return data

    def tell(self, event: str) -> None:
        """Call ``on_epoch_begin`` or ``on_epoch_end`` of the source, if it has that."""
        listener = getattr(self.source, event, None)
        if listener is not None:
            listener()


def _length(source: Any) -> int | None:
    """The number of batches of a source, if it says so."""
    if hasattr(source, "num_batches"):
        return None if source.num_batches is None else int(source.num_batches)
    try:
        return len(source)
    except (TypeError, AttributeError):
        return None


def _made_ahead(
    make: Callable[[int], Any], order: Iterable[int], workers: int, ahead: int
) -> Iterator[Any]:
    """What ``map(make, order)`` gives, in order, made by threads.

    Args:
        make, order: as for `map`.
        workers: how many threads.
        ahead: batches that may be in the making or lie ready, beside the one that is in use.
    """
    from concurrent.futures import Future, ThreadPoolExecutor  # slow to import

    pool = ThreadPoolExecutor(workers, thread_name_prefix="gradtape-data")
    waiting: deque[Future[Any]] = deque()
    try:
        for index in order:
            waiting.append(pool.submit(make, index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


Data = ArrayData | BatchData


def data_for(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: bool = False,
    name: str = "",
    counts: Counts = (1, 1),
) -> Data:
    """Data of whatever form; arguments as for `ArrayData` and `BatchData`.

    Raises:
        ValueError, TypeError: as those, or targets beside a source of batches.
    """
    if y is not None or not yields_batches(x):
        if not isinstance(x, (list, tuple)) and yields_batches(x):
            raise ValueError(
                f"y must not be given: x is a {type(x).__name__}, whose batches (x, y) bring their "
                "own targets."
            )
        return ArrayData(x, y, sample_weight, batch_size, shuffle, name, counts)
    if sample_weight is not None:
        raise ValueError(
            f"sample_weight must not be given: x is a {type(x).__name__}, whose batches "
            "(x, y, sample_weight) bring their own."
        )
    return BatchData(x, shuffle, name, counts)


def validation_for(data: Any, batch_size: int | None, counts: Counts) -> Data:
    """The data to validate on: ``(x, y)``, ``(x, y, sample_weight)``, or a source of batches.

    Raises:
        ValueError, TypeError: it is neither; or as for `data_for`.
    """
    name = "validation_data"
    if yields_batches(data):
        return data_for(data, name=name, counts=counts)
    if not isinstance(data, (tuple, list)) or not 1 <= len(data) <= 3:
        what = f"{len(data)} elements" if isinstance(data, (tuple, list)) else type(data).__name__
        raise ValueError(
            f"{name} must be (x, y), (x, y, sample_weight) or a source of batches, received {what}."
        )
    parts = unpack_x_y_sample_weight(data)
    return data_for(*parts, batch_size=batch_size, name=name, counts=counts)


class Rounds:
    """Batches for one epoch after the other.

    Without `steps` an epoch is one pass through the data. With them it is so many batches from
    where the last epoch ended; the data starts anew when it ends.

    Args:
        data: where batches come from.
        steps: batches of an epoch; default: a pass.
        name: of the argument `steps`, for the warning when the data ends early.
        tells: whether the data hears where an epoch begins and ends, and so may take another order.
    """

    def __init__(
        self, data: Data, steps: int | None = None, name: str = "steps", tells: bool = True
    ) -> None:
        self.data = data
        self._tells = tells
        self._given = None if steps is None else count_of(steps, name)
        self._name = name
        self._pass: tuple[int, ...] | None = None
        self._seen = 0
        self._stream: Generator[Batch, None, None] | None = None
        self._restarts = isinstance(data, ArrayData) or data.indexed

    @property
    def steps(self) -> int | None:
        """The batches of an epoch, None if that is not known."""
        return self._given or self.data.steps

    @property
    def position(self) -> tuple[list[int], int] | None:
        """The address of the current pass and how many of its batches are done; None between."""
        return None if self._pass is None else (list(self._pass), self._seen)

    def resume(self, address: Iterable[int], seen: int) -> None:
        """Go on from a `position`: with the next batch, in the order that this pass had."""
        self._pass, self._seen = tuple(address), seen
        self._stream = None if self._restarts else self.data.batches(*self._pass, start=seen)

    def rewind(self) -> None:
        """Start the next epoch at the first batch, if the data can be gone through again."""
        self._pass = self._stream = None
        self._tell("on_epoch_end")  # as Keras does: data that shuffles there has the same order

    def round(self, *address: int, done: int = 0) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            address: which epoch; data is shuffled by the address of its pass.
            done: how many of these batches were done before `resume`.
        """
        self._tell("on_epoch_begin")
        if self._pass is None:
            self._pass, self._seen = address, 0
        left = None if self._given is None else self._given - done
        if self._stream is None:
            self._stream = self.data.batches(*self._pass, start=self._seen, most=left)
        for batch in itertools.islice(self._stream, left):
            self._seen += 1
            left = None if left is None else left - 1
            yield batch
        if left:
            warn(
                f"The data ran out {counted(left, 'batch', 'batches')} before the end of the "
                f"epoch: {self._name}={self._given}, and {counted(self._seen, 'batch', 'batches')} "
                "in a pass."
            )
        over = left or left is None or self._seen == self.data.steps
        if over:
            self._pass = None
        if over or self._restarts:
            self._stream = None
        self._tell("on_epoch_end")

    def close(self) -> None:
        """Make no more batches ahead."""
        if self._restarts and self._stream is not None:
            self._stream.close()

    def _tell(self, event: str) -> None:
        if self._tells and isinstance(self.data, BatchData):
            self.data.tell(event)
