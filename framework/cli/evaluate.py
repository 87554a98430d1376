"""``gradtape evaluate RUN``: how the model of a training run does on the test set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import counted
from . import recipes, record
from .train import asked, count, images
from .usage import UsageError


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="judge the model of a training run on the test set",
        description=(
            "Judge the model that `gradtape train` saved on the test set. Options are chosen with "
            "train's --validation-split, so that this is the first look at the test set."
        ),
    )
    add = parser.add_argument
    add("folder", metavar="RUN", type=Path, help="the folder of a run, as runs/lenet5-mnist-1")
    add("--data", metavar="SET", help="another data set than the one it was trained on")
    add("--limit", metavar="N", type=count, help="use only the first N images")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load, judge, and say how it went.

    Raises:
        UsageError: there is no such run, or its model does not fit the data.
    """
    from .. import datasets, saving

    options = record.read_recipe(arguments.folder)["options"]
    data = arguments.data or options["data"]
    _, (x, y) = asked(lambda: datasets.load(data))
    x = images(x[: arguments.limit], recipes.recipe_for(options["net"]).smallest)
    y = y[: arguments.limit].reshape(-1)
    model = asked(lambda: saving.load_model(arguments.folder / record.MODEL))
    found = asked(lambda: model.evaluate(x, y, batch_size=256, verbose=0, return_dict=True))
    if "accuracy" not in found:
        raise UsageError(f"The model in {arguments.folder} was not compiled with an accuracy.")
    print(
        f"{options['net']}, {counted(model.count_params(), 'parameter')}, seed {options['seed']}: "
        f"{found['accuracy']:.2%} of {counted(len(x), 'test image')} of {data} right "
        f"(loss {found['loss']:.4f})."
    )
    return 0
