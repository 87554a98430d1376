"""MNIST: 70,000 handwritten digits (LeCun, Bottou, Bengio and Haffner, 1998).

Licence: Creative Commons Attribution-ShareAlike 3.0, Yann LeCun and Corinna Cortes.
"""

from __future__ import annotations

import os

from . import _idx
from ._files import DataSet, Published, Source, find

CLASSES: tuple[str, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

SOURCE = Source(
    name="mnist",
    title="MNIST",
    files=(
        Published(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        Published(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        Published(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        Published(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load MNIST.

    The four files, compressed or plain, are looked for in ``path``, in ``$GRADTAPE_DATA/mnist`` (or
    ``gradtape/mnist`` in your cache folder) and in ``/usr/share/datasets/mnist``. If none holds
    them they are downloaded once to the cache folder, 12 MB, and checked against their SHA-256.

    Args:
        path: a folder that holds the files.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(60000, 28, 28)`` and
        ``(10000, 28, 28)`` with 0 for the background and 255 for ink, labels ``(60000,)`` and
        ``(10000,)`` from 0 to 9.

    Raises:
        FileNotFoundError: the files are nowhere to be had; lists every place tried.
        ValueError: a file is truncated, damaged or not MNIST's.

    Source: http://yann.lecun.com/exdb/mnist/.
    """
    return _idx.read_all(find(SOURCE, _idx.held, path), SOURCE)
