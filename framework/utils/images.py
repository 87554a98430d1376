"""Images in files and folders, read with Pillow (extra ``image``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import unknown_name
from ..random import generator
from .sequences import Batches

Array = np.ndarray

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: Pillow's name of the colours, by Keras's.
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
_LABEL_MODES = ("int", "categorical", "binary", None)
_SUBSETS = ("training", "validation", "both", None)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Reading images from files needs Pillow: pip install 'gradtape[image]'."
        ) from error
    return Image


def _chosen(kind: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise unknown_name(kind, str(value), [str(k) for k in known])
    return value


def load_img(
    path: str | os.PathLike[str],
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A file as a Pillow image.

    Args:
        path: of the file.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        target_size: ``(height, width)`` to resize it to.
        interpolation: how: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"``
            or ``"hamming"``. Pillow averages when it shrinks, but for ``"nearest"``.
        keep_aspect_ratio: whether to cut off what is too long first, from both ends.

    Raises:
        ValueError: an unknown colour mode or interpolation.
        OSError: the file cannot be opened, or holds no image.
        ImportError: Pillow is not installed.
    """
    Image = _pillow()
    mode = _MODES[_chosen("color mode", color_mode, tuple(_MODES))]
    how = Image.Resampling[_chosen("interpolation", interpolation, _INTERPOLATIONS).upper()]
    with Image.open(path) as file:
        image = file.convert(mode)
    if target_size is None:
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        w, h = image.size
        kept_w, kept_h = min(w, h * width / height), min(h, w * height / width)
        left, top = (w - kept_w) / 2, (h - kept_h) / 2
        box = (left, top, left + kept_w, top + kept_h)
    return image.resize((width, height), how, box=box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Array:
    """A Pillow image as an array of shape (height, width, channels), values from 0 to 255.

    Args:
        img: the image.
        data_format: ``"channels_first"`` returns (channels, height, width).
        dtype: Default: float32.
    """
    array = np.asarray(img, dtype or "float32")
    if array.ndim not in (2, 3):
        raise ValueError(f"Expected an image of rank 2 or 3, received shape {array.shape}.")
    array = array if array.ndim == 3 else array[..., None]
    _chosen("data format", data_format, ("channels_last", "channels_first", None))
    return np.moveaxis(array, -1, 0) if data_format == "channels_first" else array


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array as a Pillow image.

    Args:
        x: shape (height, width, channels) with 1, 3 or 4 channels.
        data_format: ``"channels_first"`` for (channels, height, width).
        scale: whether to stretch the values to 0 ... 255.
        dtype: to compute in. Default: float32.

    Raises:
        ValueError: another shape.
    """
    Image = _pillow()
    array = np.asarray(x, dtype or "float32")
    _chosen("data format", data_format, ("channels_last", "channels_first", None))
    if array.ndim == 3 and data_format == "channels_first":
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"array_to_img() expects (height, width, 1, 3 or 4 channels), received {array.shape}."
        )
    if scale:
        array = array - array.min()
        array = array * (255 / array.max()) if array.max() > 0 else array
    pixels = np.clip(array, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def save_img(
    path: str | os.PathLike[str],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array to an image file; see `array_to_img`.

    Args:
        path: of the file; its ending says the format, unless `file_format` does.
        **kwargs: for Pillow's ``Image.save``.
    """
    array_to_img(x, data_format, scale).save(path, format=file_format, **kwargs)


class ImageBatches(Batches):
    """Batches of images, read when they are asked for.

    Attributes:
        class_names: in the order of their numbers.
        file_paths: of all images, in the order before shuffling.
    """

    class_names: list[str] | None
    file_paths: list[str]


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
) -> Any:
    """The images of a folder as batches, with their classes: a sequence that `fit` takes.

    Args:
        directory: with a folder for each class, or with images if `labels` is not ``"inferred"``.
        labels: ``"inferred"`` from the folders, None for images alone, or a number for each file in
            alphabetical order of the paths.
        label_mode: what labels look like: ``"int"`` for numbers (int32, shape (batch,)),
            ``"categorical"`` for one-hot rows (float32), ``"binary"`` for 0 and 1 (float32, shape
            (batch, 1)), None for none.
        class_names: the folders, in the order of the class numbers. Default: by alphabet.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``.
        batch_size: images in a batch; None: all of them.
        image_size: ``(height, width)`` that all are resized to.
        shuffle: whether each epoch has an order of its own.
        seed: of the order, and of which images are held out.
        validation_split: the share of images, from 0 to 1, to hold out.
        subset: ``"training"`` or ``"validation"``, or ``"both"`` for a pair.
        interpolation: see `load_img`.
        follow_links: whether to look into folders that are links.
        crop_to_aspect_ratio: whether to cut images to the wanted proportions before resizing.
        data_format: ``"channels_first"`` for (batch, channels, height, width).
        verbose: whether to say how many files were found.

    Returns:
        Batches of images (batch, height, width, channels), float32 from 0 to 255, with labels. A
        file is read when its batch is asked for.

    Raises:
        ValueError: a setting that makes no sense, no images, or labels that do not fit them.
        FileNotFoundError: there is no such folder.
    """
    _pillow()
    _chosen("label mode", label_mode, _LABEL_MODES)
    _chosen("color mode", color_mode, tuple(_MODES))
    _chosen("interpolation", interpolation, _INTERPOLATIONS)
    _chosen("subset", subset, _SUBSETS)
    _chosen("data format", data_format, ("channels_last", "channels_first", None))
    if (validation_split is None) != (subset is None):
        raise ValueError(
            "validation_split and subset ('training', 'validation' or 'both') belong together, "
            f"received {validation_split} and {subset!r}."
        )
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"validation_split must lie between 0 and 1, received {validation_split}.")
    if validation_split is not None and shuffle and seed is None:
        raise ValueError(
            "Pass a seed, so that training and validation do not share images: "
            "image_dataset_from_directory(..., seed=0), or shuffle=False."
        )
    root = Path(directory)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {os.fspath(directory)!r}.")
    if labels == "inferred":
        names = _class_names(root, class_names)
        found = [(p, i) for i, n in enumerate(names) for p in _images(root / n, follow_links)]
        where = f"the folders of its {len(names)} classes ({', '.join(names[:5])})"
    else:
        names, where = None, "it"
        paths = _images(root, follow_links)
        if labels is not None and len(labels) != len(paths):
            raise ValueError(
                f"{os.fspath(directory)!r} has {len(paths)} images, received {len(labels)} labels."
            )
        found = list(zip(paths, [0] * len(paths) if labels is None else labels, strict=True))
    if not found:
        raise ValueError(
            f"No images found in {os.fspath(directory)!r}: looked for {', '.join(SUFFIXES)} in "
            f"{where}."
        )
    numbers = None if labels is None or label_mode is None else np.array([n for _, n in found])
    classes = len(names) if names is not None else 0 if numbers is None else int(numbers.max()) + 1
    if label_mode == "binary" and numbers is not None and classes != 2:
        raise ValueError(f"label_mode='binary' needs 2 classes, found {classes}.")

    def read(path: str) -> Array:
        image = load_img(path, color_mode, image_size, interpolation, crop_to_aspect_ratio)
        return img_to_array(image, data_format)

    def batches(chosen: list[int]) -> ImageBatches:
        files = [str(found[i][0]) for i in chosen]
        wanted = None if numbers is None else _as_labels(numbers[chosen], label_mode, classes)

        def make(rows: Array) -> Any:
            images = np.stack([read(files[i]) for i in rows])
            return (images,) if wanted is None else (images, wanted[rows])

        made = ImageBatches(len(files), batch_size or len(files), make, shuffle, seed)
        made.class_names, made.file_paths = names, files
        return made

    order = np.arange(len(found))
    if verbose:
        print(f"Found {len(found)} images{'' if names is None else f' of {len(names)} classes'}.")
    if validation_split is None:
        return batches(order.tolist())
    if shuffle:
        generator("image_dataset_from_directory", seed=seed).shuffle(order)
    held = int(validation_split * len(order))
    parts = {"training": order[: len(order) - held], "validation": order[len(order) - held :]}
    empty = [k for k, rows in parts.items() if not len(rows) and subset in (k, "both")]
    if empty:
        raise ValueError(
            f"validation_split {validation_split} of {len(order)} images leaves none for "
            f"{empty[0]}."
        )
    if subset == "both":
        return tuple(batches(rows.tolist()) for rows in parts.values())
    return batches(parts[str(subset)].tolist())


def _class_names(root: Path, given: Sequence[str] | None) -> list[str]:
    """The folders of the classes, in the order of their numbers."""
    folders = sorted(p.name for p in root.iterdir() if p.is_dir())
    if given is None:
        return folders
    if sorted(given) != folders:
        raise ValueError(f"class_names {list(given)} are not the folders in {root}: {folders}.")
    return list(given)


def _images(folder: Path, follow_links: bool) -> list[Path]:
    """Every image below a folder, by alphabet."""
    walk = os.walk(folder, followlinks=follow_links)
    paths = [Path(base, name) for base, _, files in walk for name in files]
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES)


def _as_labels(numbers: Array, mode: str | None, classes: int) -> Array:
    if mode == "categorical":
        return np.eye(classes, dtype="float32")[numbers]
    return numbers.astype("float32")[:, None] if mode == "binary" else numbers.astype("int32")
