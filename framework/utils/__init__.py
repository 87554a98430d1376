"""Helpers around training: seeds, targets, sequences, images in folders, a picture of a model."""

from __future__ import annotations

import random as python_random
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config.checked import Count, checked
from ..config.exports import exporting
from ..config.naming import reset_names
from ..data.data import as_array, pack_x_y_sample_weight, unpack_x_y_sample_weight
from ..data.dataset import PyDataset
from ..random import check_seed, set_seed
from ..saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from .diagram import plot_model
from .images import (
    array_to_img,
    image_dataset_from_directory,
    img_to_array,
    load_img,
    save_img,
)
from .sequences import pad_sequences, split_dataset, timeseries_dataset_from_array

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_registered_name",
    "get_registered_object",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset  # its old name in Keras

Array = np.ndarray


def clear_session(free_memory: bool = True) -> None:
    """Number the names of layers from the start again, as in a new process.

    Args:
        free_memory: accepted as Keras takes it; what nobody refers to is freed at once.
    """
    reset_names()


@checked
def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and gradtape's random numbers, so that a run can be repeated exactly.

    Args:
        seed: an integer from 0 to 2^32 - 1.

    Raises:
        TypeError, ValueError: it is no such integer.
    """
    seed = check_seed(seed)
    if seed >= 2**32:
        raise ValueError(f"A seed must be below 2**32, received {seed}.")
    python_random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the global generator is what must be seeded)
    set_seed(seed)


@checked
def to_categorical(x: Any, num_classes: Count | None = None) -> Array:
    """Class numbers as one-hot rows.

    Args:
        x: integers of shape (...) or (..., 1).
        num_classes: the length of a row. Default: the largest class number and one.

    Returns:
        Ones and zeros of shape (..., num_classes), float64 as in Keras.

    Raises:
        ValueError: a class number is not in [0, num_classes).
        TypeError: `x` holds no numbers.
    """
    given = as_array(np.atleast_1d(np.asarray(x)), "x")
    labels = given.astype(np.int64)
    if (broken := given[given != labels]).size:
        raise ValueError(f"Class numbers must be whole, received {broken.flat[0]}.")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        bad = labels[(labels < 0) | (labels >= classes)].flat[0]
        raise ValueError(f"Class numbers must lie in 0..{classes - 1}, received {bad}.")
    return np.eye(classes)[labels]


@checked
def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """`x` over its norm along an axis; zeros stay.

    Args:
        order: which norm, as for `numpy.linalg.norm`.
    """
    values = as_array(x, "x")
    norm = np.linalg.norm(values, order, axis, keepdims=True)
    return values / np.where(norm == 0, 1, norm)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__)
