"""Fashion-MNIST: 70,000 pictures of clothes in MNIST's format (Xiao, Rasul and Vollgraf, 2017).

Licence: MIT, Zalando SE.
"""

from __future__ import annotations

import os

from . import _idx
from ._files import DataSet, Published, Source, find

CLASSES: tuple[str, ...] = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SOURCE = Source(
    name="fashion_mnist",
    title="Fashion-MNIST",
    files=(
        Published(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        Published(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        Published(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        Published(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
)


def load_data(path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load Fashion-MNIST.

    The four files, compressed or plain, are looked for in ``path``, in
    ``$GRADTAPE_DATA/fashion_mnist`` (or ``gradtape/fashion_mnist`` in your cache folder) and in
    ``/usr/share/datasets/fashion-mnist``, where Debian's package ``dataset-fashion-mnist`` puts
    them. If none holds them they are downloaded once to the cache folder, 31 MB, and checked
    against their SHA-256.

    Args:
        path: a folder that holds the files.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(60000, 28, 28)`` and
        ``(10000, 28, 28)`` with 0 for the background, labels ``(60000,)`` and ``(10000,)`` that
        index ``CLASSES``.

    Raises:
        FileNotFoundError: the files are nowhere to be had; lists every place tried.
        ValueError: a file is truncated, damaged or not Fashion-MNIST's.

    Source: https://arxiv.org/abs/1708.07747, https://github.com/zalandoresearch/fashion-mnist.
    """
    return _idx.read_all(find(SOURCE, _idx.held, path), SOURCE)
