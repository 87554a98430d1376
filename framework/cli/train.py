"""``gradtape train NET --data SET``: train a net of the zoo, and keep all there is to know."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import record
from .usage import UsageError

#: What a run depends on, beside the versions of gradtape and what it uses.
OPTIONS = (
    "net", "data", "epochs", "batch_size", "optimizer", "learning_rate", "seed", "limit"
)  # fmt: skip
INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a net of the zoo on a data set",
        description=(
            "Train a net of the zoo on a data set, show how it does on images held out, and save "
            "the model, its history, a recipe to repeat the run, and a picture."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("net", metavar="NET", help="a net of gradtape.models, as lenet5")
    parser.add_argument(
        "--data", metavar="SET", default="mnist_sample", help="a data set of gradtape.datasets"
    )
    parser.add_argument(
        "--epochs", metavar="N", type=_count, default=20, help="passes over the training images"
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=_count, default=32, help="images per step"
    )
    parser.add_argument(
        "--optimizer", metavar="NAME", default="adam", help="one of gradtape.optimizers"
    )
    parser.add_argument(
        "--learning-rate", metavar="RATE", type=_rate, help="size of a step; default: NAME's own"
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of weights, shuffling and dropout"
    )
    parser.add_argument(
        "--limit", metavar="N", type=_count, help="use only the first N images of either part"
    )
    parser.add_argument("--out", metavar="DIR", help="where to write; default: runs/NET-SET-NUMBER")
    parser.add_argument("--no-picture", action="store_true", help="draw nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train as asked.

    Raises:
        UsageError: an unknown net, data set or optimizer, or one that does not fit another.
    """
    from .. import datasets, models, optimizers, utils

    _asked(lambda: utils.set_random_seed(arguments.seed))
    optimizer = _asked(lambda: optimizers.get(arguments.optimizer))
    if arguments.learning_rate is not None:
        optimizer.learning_rate = arguments.learning_rate
    (x_train, y_train), (x_test, y_test) = (
        (_images(x[: arguments.limit]), y[: arguments.limit].reshape(-1))
        for x, y in _asked(lambda: datasets.load(arguments.data))
    )
    classes = getattr(datasets, arguments.data).CLASSES
    model = _asked(
        lambda: models.build(arguments.net, input_shape=x_train.shape[1:], classes=len(classes))
    )
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    folder = record.new_folder(arguments.out, f"{arguments.net}-{arguments.data}")
    options = {name: getattr(arguments, name) for name in OPTIONS}
    options["learning_rate"] = optimizer.learning_rate
    record.write_recipe(folder, _command(options), options)

    print(
        f"Training {arguments.net} on {arguments.data}: {len(x_train):,} images to learn from, "
        f"{len(x_test):,} held out.\n"
        f"{arguments.optimizer} with learning rate {optimizer.learning_rate:g}, batches of "
        f"{arguments.batch_size}, {arguments.epochs} epochs, seed {arguments.seed}.\n"
    )
    model.summary()
    code = 0
    try:
        model.fit(
            x_train,
            y_train,
            batch_size=arguments.batch_size,
            epochs=arguments.epochs,
            validation_data=(x_test, y_test),
        )
    except KeyboardInterrupt:  # fit has said so, and has kept everything up to here
        code = INTERRUPTED
    history = model.history.history
    model.save(folder / record.MODEL)
    record.write_history(folder, history)
    print(f"\n{_outcome(history)}")
    written = [record.MODEL, record.HISTORY, record.RECIPE]
    if not arguments.no_picture:
        title = f"{arguments.net} on {arguments.data}"
        if _draw(folder / record.PICTURE, title, model, history, x_test, y_test, classes):
            written.append(record.PICTURE)
    print(f"Wrote {', '.join(written)} in {folder}{'' if folder.is_absolute() else '/'}")
    return code


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, received {text}")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return number


# How argparse words a value that is no number at all.
_count.__name__, _rate.__name__ = "whole number", "number"


def _asked(make: Callable[[], Any]) -> Any:
    """What the user named, or the reason why there is no such thing."""
    try:
        return make()
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise UsageError(str(error)) from error


def _images(x: np.ndarray) -> np.ndarray:
    """uint8 images as float32 from 0 to 1 with a channel axis: ``(N, H, W, C)``."""
    return (x if x.ndim == 4 else x[..., None]).astype(np.float32) / 255


def _command(options: dict[str, Any]) -> list[str]:
    """The command that repeats this run."""
    words = ["gradtape", "train", options["net"]]
    for name, value in options.items():
        if name != "net" and value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def _outcome(history: dict[str, list[float]]) -> str:
    if not history.get("val_accuracy"):
        return "Not one epoch was completed."
    epochs = len(history["loss"])
    return (
        f"After {epochs} epoch{'' if epochs == 1 else 's'}: "
        f"{history['accuracy'][-1]:.2%} of the training images right (loss "
        f"{history['loss'][-1]:.4f}), {history['val_accuracy'][-1]:.2%} of the held-out ones (loss "
        f"{history['val_loss'][-1]:.4f})."
    )


def _draw(
    path: Path,
    title: str,
    model: Any,
    history: dict[str, list[float]],
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
) -> bool:
    """Write the picture of the run; False, and how to get it, without Matplotlib."""
    try:
        from .. import plot
    except ImportError as error:
        print(error)
        return False
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    right = float(np.mean(predicted == labels))
    title += f": {right:.1%} of {len(labels):,} held-out images correct"
    figure = plot.summary(title, history, _first_kernel(model), images, labels, predicted, classes)
    figure.savefig(path)
    return True


def _first_kernel(model: Any) -> np.ndarray | None:
    """The kernel ``(k_h, k_w, c_in, c_out)`` of the first convolution of images, or None."""
    for weight in model.weights:
        if weight.ndim == 4:
            return weight.numpy()
    return None
