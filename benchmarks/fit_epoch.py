"""An epoch of `fit`, ours and that of Keras on each back end: ``python -m benchmarks.fit_epoch``.

LeNet-5 on Fashion-MNIST (images of the same number and size drawn at random where the data set is
not on this machine), batches of 128, accuracy as metric, one callback that is called in every
batch. Each contestant runs in a process of its own; the runs take turns. The first epoch includes
what is compiled in it, the later ones do not. Of ours, an epoch is also compared with as many bare
steps (`train_on_batch` without metrics), at that batch size and at one where steps are short.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

import numpy as np

from . import report
from .nets import initial_weights

BATCH, SMALL, RATE, MOMENTUM = 128, 32, 0.02, 0.9
UNITS = {"first_epoch": "s", "epoch": "s", "last_loss": "", "overhead": "", "overhead_32": ""}
BACKENDS = ("tensorflow", "torch", "jax")


def images(count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Images (count, 28, 28, 1) float32 from 0 to 1, their labels, and what they are."""
    from gradtape.datasets import _files, _idx, fashion_mnist

    name = fashion_mnist.SOURCE.name
    places = [_files.cache_folder() / name]
    places += [root / name.replace("_", "-") for root in _files.system_folders()]
    if not any(map(_idx.held, places)):  # a benchmark downloads nothing
        rng = np.random.default_rng(0)
        x, y = rng.random((count, 28, 28, 1), np.float32), rng.integers(0, 10, count)
        return x, y, "random images"
    (x, y), _ = fashion_mnist.load_data()
    x = x[:count].reshape(-1, 28, 28, 1).astype(np.float32) / 255
    return x, y[:count].reshape(-1).astype(np.int64), "Fashion-MNIST"


def measure(contestant: str, samples: int, epochs: int, threads: int) -> dict[str, Any]:
    """Seconds of the first epoch, and the median of the later ones.

    Args:
        contestant: ``"gradtape"``, or ``"keras-"`` and a back end.
        samples: images in an epoch.
        epochs: at least 2.
        threads: how many may be used.
    """
    x, y, what = images(samples)
    weights = initial_weights("lenet5")
    seconds, loss = _fit(contestant, weights, threads, x, y, BATCH, epochs)
    found = {
        "first_epoch": seconds[0],
        "epoch": statistics.median(seconds[1:]),
        "last_loss": loss,
        "data": what,
    }
    if contestant == report.OURS:
        found["overhead"] = found["epoch"] / _bare_steps(weights, threads, x, y, BATCH) - 1
        seconds, _ = _fit(contestant, weights, threads, x, y, SMALL, epochs)
        bare = _bare_steps(weights, threads, x, y, SMALL)
        found[f"overhead_{SMALL}"] = statistics.median(seconds[1:]) / bare - 1
    return found


def _fit(
    contestant: str,
    weights: Any,
    threads: int,
    x: np.ndarray,
    y: np.ndarray,
    batch: int,
    epochs: int,
) -> tuple[list[float], float]:
    """The seconds of each epoch, and the loss of the last batch."""
    model, package = _compiled(contestant, weights, threads)

    class Clock(package.callbacks.Callback):
        """Times epochs, and is called in every batch."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.loss = float(logs["loss"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    clock = Clock()
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[clock])
    return clock.seconds, clock.loss


def _compiled(contestant: str, weights: Any, threads: int) -> tuple[Any, Any]:
    """The model, compiled with accuracy as metric, and the package it comes from."""
    model, package = plain_model(contestant, weights, threads)
    loss = package.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(package.optimizers.SGD(RATE, momentum=MOMENTUM), loss, metrics=["accuracy"])
    return model, package


def plain_model(contestant: str, weights: Any, threads: int) -> tuple[Any, Any]:
    """LeNet-5 with these weights, and the package it comes from.

    Raises:
        ImportError: that package, or its back end, is not installed.
    """
    if contestant == report.OURS:
        import gradtape

        from .peers import Gradtape

        return Gradtape("lenet5", weights, RATE, threads).model, gradtape
    os.environ["KERAS_BACKEND"] = contestant.removeprefix("keras-")
    __import__(os.environ["KERAS_BACKEND"])  # says which one is missing
    import keras

    from .peers import Keras

    return Keras("lenet5", weights, RATE, threads).model, keras


def _bare_steps(weights: Any, threads: int, x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Seconds of an epoch of our steps without `fit`: `train_on_batch`, without metrics."""
    from .peers import Gradtape

    trainer, taken = Gradtape("lenet5", weights, RATE, threads), []
    for i in range(0, len(x) - batch + 1, batch):
        start = time.perf_counter()
        trainer.step(x[i : i + batch], y[i : i + batch])
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * len(x) / batch


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("fit_epoch", __doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="of Keras")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=3, help="in a run, at least 2")
    parser.add_argument("--runs", type=int, default=2)
    given = parser.parse_args(arguments)
    contestants = [report.OURS, *(f"keras-{b}" for b in report.names(given.backends))]
    runs: dict[str, list[Any]] = {name: [] for name in contestants}
    for _ in range(given.runs):
        for name in contestants:
            runs[name].append(
                report.alone(
                    "benchmarks.fit_epoch",
                    contestant=name,
                    samples=given.samples,
                    epochs=max(2, given.epochs),
                    threads=given.threads,
                )
            )
    found = {name: report.medians(r) for name, r in runs.items()}
    title = f"LeNet-5, {given.samples} {found[report.OURS]['data']}, batch {BATCH}"
    report.show(title, found, UNITS)
    groups = {"epoch": {n: f["epoch"] for n, f in found.items() if "epoch" in f}}
    report.write(given.out, "fit_epoch", found, groups, "seconds", threads=given.threads)


if __name__ == "__main__":
    main()
