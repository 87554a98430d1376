"""`PyDataset`: data that is made batch by batch, when it is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..config.checked import Checked, Count, Natural


class PyDataset(Checked, ABC):
    """Base of data that is made batch by batch. Names and defaults are Keras's.

    A subclass defines ``__getitem__``, and ``__len__`` unless it never ends:

        class Crops(gt.utils.PyDataset):
            def __len__(self):
                return 100

            def __getitem__(self, index):
                return images[index], labels[index]  # of batch `index`

    Args:
        workers: threads that make batches ahead of the training, within an epoch; with 0 or 1, each
            batch is made when its turn comes. Several call ``__getitem__`` at once.
        use_multiprocessing: whether a single worker makes batches ahead, too. The workers are
            threads in any case, which NumPy, Pillow and native steps let run in parallel.
        max_queue_size: batches that may lie ready, or in the making, beside the one in use.

    Raises:
        ValueError: fewer than 0 workers, or a queue without room.
    """

    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(
        self, workers: Natural = 1, use_multiprocessing: bool = False, max_queue_size: Count = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Batch `index`: ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``; or a dict of inputs."""

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch: ``len(self)``; None if it never ends."""
        length = getattr(self, "__len__", None)
        return None if length is None else int(length())

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch and, as in Keras, once before the first."""
