"""Seconds from the start of a process to an accuracy: ``python -m benchmarks.time_to_accuracy``.

LeNet-5 (tanh, average pooling) from the same initial weights with the same recipe: Adam, shuffled
batches, the test set after every epoch. Ours and Keras on each back end, each in its own process,
whose start, imports and compilations count.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from . import report
from .fit_epoch import BACKENDS, plain_model
from .nets import initial_weights

#: Data set: accuracy to reach, batch size, learning rate of Adam.
GOALS = {"mnist_sample": (0.95, 32, 0.002), "fashion_mnist": (0.88, 128, 0.002)}


def measure(
    contestant: str, goal: str, epochs: int, threads: int, started: float
) -> dict[str, Any]:
    """Seconds since `started` at which the test set was first answered well enough.

    Args:
        contestant: ``"gradtape"``, or ``"keras-"`` and a back end.
        goal: in `GOALS`.
        epochs: after so many it gives up.
        threads: how many may be used.
        started: `time.time()` before this process was started.
    """
    accuracy, batch, rate = GOALS[goal]
    (x, y), (x_test, y_test) = _data(goal)
    model, package = plain_model(contestant, initial_weights("lenet5"), threads)
    loss = package.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(package.optimizers.Adam(rate), loss, metrics=["accuracy"])
    package.utils.set_random_seed(1)
    for epoch in range(1, epochs + 1):
        model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
        reached = float(model.evaluate(x_test, y_test, batch_size=500, verbose=0)[1])
        if reached >= accuracy:
            seconds = time.time() - started
            return {"seconds": seconds, "epochs": epoch, "accuracy": reached}
    return {"missing": f"accuracy {reached:.3f} after {epochs} epochs"}


def _data(goal: str) -> Any:
    import gradtape

    (x, y), (x_test, y_test) = gradtape.datasets.load(goal)
    return tuple(
        (images.reshape(-1, 28, 28, 1).astype(np.float32) / 255, labels.reshape(-1).astype("int64"))
        for images, labels in ((x, y), (x_test, y_test))
    )


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("time_to_accuracy", __doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="of Keras")
    parser.add_argument("--goals", default=",".join(GOALS))
    parser.add_argument("--epochs", type=int, default=40, help="give up after these")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for goal in report.names(given.goals):
        found = {}
        for name in (report.OURS, *(f"keras-{b}" for b in report.names(given.backends))):
            found[name] = report.alone(
                "benchmarks.time_to_accuracy",
                {"KERAS_BACKEND": name.removeprefix("keras-")} if name != report.OURS else {},
                contestant=name,
                goal=goal,
                epochs=given.epochs,
                threads=given.threads,
                started=time.time(),
            )
        title = f"{goal}: seconds to a test accuracy of {GOALS[goal][0]}"
        report.show(title, found, {"seconds": "s", "epochs": "", "accuracy": ""})
        results[goal] = found
    groups = {
        goal: {name: f["seconds"] for name, f in found.items() if "seconds" in f}
        for goal, found in results.items()
    }
    out = given.out
    report.write(out, "time_to_accuracy", results, groups, "seconds", threads=given.threads)


if __name__ == "__main__":
    main()
