"""``gradtape train NET --data SET``: train a net of the zoo, and keep all there is to know."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..config.writing import replacing
from ..errors import counted, unknown_name
from . import recipes, record
from .usage import UsageError

#: What a run depends on, beside the versions of gradtape and what it uses.
OPTIONS = (
    "net", "data", "epochs", "batch_size", "optimizer", "learning_rate", "momentum",
    "weight_decay", "schedule", "augment", "validation_split", "seed", "limit",
)  # fmt: skip
INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a net of the zoo on a data set",
        description=(
            "Train a net of the zoo on a data set, show how it does on images held out, and save "
            "the model, its history, a recipe to repeat the run, and a picture. Every net has a "
            "recipe of its own, which the options override."
        ),
    )
    add = parser.add_argument
    add("net", metavar="NET", help="a net of gradtape.models, as lenet5")
    add(
        "--data", metavar="SET", default="mnist_sample",
        help="a data set of gradtape.datasets (default: mnist_sample)",
    )  # fmt: skip
    add("--epochs", metavar="N", type=count, help="passes over the training images")
    add("--batch-size", metavar="N", type=count, help="images per step")
    add("--optimizer", metavar="NAME", help="one of gradtape.optimizers")
    add(
        "--learning-rate", metavar="RATE", type=_rate,
        help="size of a step, at the most (default: the recipe's, or that of --optimizer)",
    )  # fmt: skip
    add("--momentum", metavar="SHARE", type=_share, help="of the last step in the next, for sgd")
    add(
        "--weight-decay", metavar="SHARE", type=_share,
        help="what each step takes off a weight, times the learning rate",
    )  # fmt: skip
    add("--schedule", choices=recipes.SCHEDULES, help="what the learning rate does")
    add(
        "--augment", metavar="LIST", type=_augmentations,
        help=f"how to change images while training: some of {','.join(recipes.AUGMENTATIONS)}, "
        "or none, or auto: what suits the data, where the net would learn it by heart",
    )  # fmt: skip
    add(
        "--validation-split", metavar="SHARE", type=_share, default=0.0,
        help="hold out the last of the training images instead of the test set: for choosing "
        "options (default: 0)",
    )  # fmt: skip
    add(
        "--seed", metavar="N", type=int, default=0,
        help="of weights, shuffling, dropout and augmentation (default: 0)",
    )  # fmt: skip
    add("--limit", metavar="N", type=count, help="use only the first N images of either part")
    add("--out", metavar="DIR", help="where to write (default: runs/NET-SET-NUMBER)")
    add("--no-picture", action="store_true", help="draw nothing")
    add(
        "--resume", action="store_true",
        help="go on with the same run after it was interrupted or killed: from its last backup to "
        "the same end, bit for bit; with no --out, the last one in runs/",
    )  # fmt: skip
    add(
        "--backup-every", metavar="N", type=count,
        help="steps between two backups, which --resume needs (default: one after each epoch)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train as asked.

    Raises:
        UsageError: an unknown net, data set or optimizer, or one that does not fit another.
    """
    from .. import callbacks, datasets, models, optimizers, utils
    from ..errors import FileError
    from .augmenting import Augmentation

    asked(lambda: utils.set_random_seed(arguments.seed))
    recipe = recipes.recipe_for(arguments.net)
    options = _options(arguments, recipe, optimizers)
    name = f"{arguments.net}-{arguments.data}"
    train, test = (
        (images(x[: arguments.limit], recipe.smallest), y[: arguments.limit].reshape(-1))
        for x, y in asked(lambda: datasets.load(arguments.data))
    )
    if options["validation_split"]:
        train, test = _split(train, options["validation_split"])
    classes = getattr(datasets, arguments.data).CLASSES
    shape = train[0].shape[1:]
    model = asked(lambda: models.build(arguments.net, input_shape=shape, classes=len(classes)))
    options["augment"] = recipes.augmentation_names(
        options["augment"], options["data"], options["epochs"], model.count_params(), len(train[0])
    )
    if arguments.resume:
        folder = record.begun_folder(arguments.out, name)
        record.refuse_others(folder, options)
        if record.is_finished(folder, options["epochs"]):
            print(f"{folder} is finished: {_outcome(record.read_history(folder))}")
            return 0
    steps = -(-len(train[0]) // options["batch_size"]) * options["epochs"]
    model.compile(
        _optimizer(options, steps, optimizers),
        loss=getattr(models, recipe.loss)() if recipe.loss in models.__all__ else recipe.loss,
        metrics=["accuracy"],
    )
    out = folder if arguments.resume else arguments.out
    folder = record.new_folder(out, name, arguments.resume)
    if not (folder / record.RECIPE).exists():
        record.write_recipe(folder, _command(options), options)
    listeners: list[Any] = [
        callbacks.BackupAndRestore(
            folder / record.BACKUP, arguments.backup_every or "epoch", delete_checkpoint=False
        )
    ]
    if options["augment"]:
        listeners.append(Augmentation(options["augment"]))

    print(_plan(options, len(train[0]), len(test[0])))
    model.summary(batch_size=options["batch_size"])
    code = 0
    try:
        model.fit(
            *train,
            batch_size=options["batch_size"],
            epochs=options["epochs"],
            validation_data=test,
            callbacks=listeners,
        )
    except FileError as error:
        raise UsageError(
            f"{error} Delete {folder / record.BACKUP} to start this run anew."
        ) from error
    except KeyboardInterrupt:  # fit has said so, and has kept everything up to here
        code = INTERRUPTED
    history = model.history.history
    model.save(folder / record.MODEL)
    record.write_history(folder, history)
    print(f"\n{_outcome(history)}")
    written = [record.MODEL, record.HISTORY, record.RECIPE]
    if not arguments.no_picture:
        title = f"{arguments.net} on {arguments.data}"
        if _draw(folder / record.PICTURE, title, model, history, *test, classes):
            written.append(record.PICTURE)
    print(f"Wrote {', '.join(written)} in {folder}{'' if folder.is_absolute() else '/'}")
    if code == INTERRUPTED:
        print("The same command with --resume goes on from the last backup.")
        return code
    record.finish(folder)
    if options["validation_split"]:
        print(f"The test set was not looked at: gradtape evaluate {folder}")
    return code


def _options(
    arguments: argparse.Namespace, recipe: recipes.Recipe, optimizers: Any
) -> dict[str, Any]:
    """All that the run depends on: as asked, else as the recipe says."""
    given = {k: getattr(arguments, k) for k in OPTIONS}
    usual = asdict(recipe)
    if given["optimizer"] not in (None, recipe.optimizer):  # then its step is none of the recipe's
        usual |= {"learning_rate": None, "momentum": 0.0, "weight_decay": 0.0}
    options: dict[str, Any] = {k: usual.get(k) if v is None else v for k, v in given.items()}
    optimizer = asked(lambda: optimizers.get(options["optimizer"]))
    if options["learning_rate"] is None:
        options["learning_rate"] = optimizer.learning_rate
    if options["momentum"] and "momentum" not in optimizer.get_config():
        raise UsageError(f"{options['optimizer']} has no momentum to set.")
    return options


def _optimizer(options: dict[str, Any], steps: int, optimizers: Any) -> Any:
    """The optimizer that the options describe."""
    make = type(optimizers.get(options["optimizer"]))
    settings = {"momentum": options["momentum"]} if options["momentum"] else {}
    rate = recipes.learning_rate(options["learning_rate"], options["schedule"], steps)
    return make(rate, weight_decay=options["weight_decay"] or None, **settings)


def _split(train: tuple[Any, Any], share: float) -> tuple[Any, Any]:
    """The first training images, and the last share of them."""
    images, labels = train
    first = len(images) - round(share * len(images))
    if not 0 < first < len(images):
        raise UsageError(
            f"--validation-split {share:g} leaves nothing of {counted(len(images), 'image')}."
        )
    return (images[:first], labels[:first]), (images[first:], labels[first:])


def _plan(options: dict[str, Any], learned: int, held_out: int) -> str:
    """What is about to happen, in words."""
    where = "the end of the training images" if options["validation_split"] else "the test set"
    extras = [f"{options['schedule'].replace('_', ' ')} learning rate {options['learning_rate']:g}"]
    extras += [
        f"{k.replace('_', ' ')} {options[k]:g}" for k in ("momentum", "weight_decay") if options[k]
    ]
    changes = " and ".join(
        filter(None, [", ".join(options["augment"][:-1]), *options["augment"][-1:]])
    )
    return (
        f"Training {options['net']} on {options['data']}: "
        f"{counted(learned, 'image')} to learn from, "
        f"{held_out:,} held out ({where}).\n"
        f"{options['optimizer']}, {', '.join(extras)}; batches of {options['batch_size']}, "
        f"{counted(options['epochs'], 'epoch')}, seed {options['seed']}; images are "
        f"{'changed at random by ' + changes if changes else 'not changed'}.\n"
    )


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, received {text}")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, received {text}")
    return number


def _augmentations(text: str) -> tuple[str, ...]:
    names = () if text in ("", "none") else tuple(text.split(","))
    for name in names:
        if name != "auto" and name not in recipes.AUGMENTATIONS:
            raise argparse.ArgumentTypeError(
                str(unknown_name("augmentation", name, [*recipes.AUGMENTATIONS, "auto", "none"]))
            )
    return names


# How argparse words a value that is no number at all.
count.__name__, _rate.__name__, _share.__name__ = "whole number", "number", "number"


def asked(make: Callable[[], Any]) -> Any:
    """What the user named, or the reason why there is no such thing."""
    try:
        return make()
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error)) from error


def images(x: np.ndarray, smallest: int) -> np.ndarray:
    """uint8 images as float32 from 0 to 1 with a channel axis, ``(N, H, W, C)``, no side shorter
    than `smallest`."""
    x = (x if x.ndim == 4 else x[..., None]).astype(np.float32) / 255
    missing = [max(0, smallest - n) for n in x.shape[1:3]]
    if any(missing):
        x = np.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)))
    return x


def _command(options: dict[str, Any]) -> list[str]:
    """The command that repeats this run."""
    words = [word for name, value in options.items() for word in record.words_of(name, value)]
    return ["gradtape", "train", *words]


def _outcome(history: dict[str, list[float]]) -> str:
    if not history.get("val_accuracy"):
        return "Not one epoch was completed."
    return (
        f"After {counted(len(history['loss']), 'epoch')}: "
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
    with replacing(path) as file:
        figure.savefig(file, format="png")
    return True


def _first_kernel(model: Any) -> np.ndarray | None:
    """The kernel ``(k_h, k_w, c_in, c_out)`` of the first convolution of images, or None."""
    for weight in model.weights:
        if weight.ndim == 4:
            return weight.numpy()
    return None
