"""Data sets: ``mnist``, ``fashion_mnist``, ``cifar10``, and ``mnist_sample``, which is built in.

Each module has ``load_data()``, which returns ``((x_train, y_train), (x_test, y_test))`` of uint8
arrays as in Keras, and ``CLASSES``, the names its labels index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtape.config.exports import exporting
from gradtape.errors import unknown_name

from . import cifar10, fashion_mnist, mnist, mnist_sample
from ._files import DataSet

__all__ = ["cifar10", "fashion_mnist", "load", "mnist", "mnist_sample"]

_LOADERS = {
    "cifar10": cifar10.load_data,
    "fashion_mnist": fashion_mnist.load_data,
    "mnist": mnist.load_data,
    "mnist_sample": mnist_sample.load_data,
}


def load(name: str) -> DataSet:
    """Load a data set by its name, as its module's ``load_data()`` does.

    Args:
        name: ``"mnist_sample"``, ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8 arrays.

    Raises:
        ValueError: no data set has that name.
        FileNotFoundError: its files are nowhere and could not be downloaded.
    """
    if not isinstance(name, str) or name not in _LOADERS:
        raise unknown_name("data set", name, _LOADERS)
    return _LOADERS[name]()


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "data set")
