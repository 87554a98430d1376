"""Images in files and folders, read with Pillow (extra ``image``)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import counted, unknown_name
from ..random import generator
from .sequences import Batches

Array = np.ndarray

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: Pillow's name of the colours, by Keras's.
_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
#: Formats that hold more than 8 bits of grey.
_DEEP = ("PNG", "TIFF")
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
        path: of the file, or a file that is open for reading bytes.
        color_mode: ``"rgb"``, ``"rgba"`` or ``"grayscale"``. Colours have 8 bits; of a grey image
            that has 16, they are the upper ones. ``"grayscale"`` keeps the values of grey images of
            any depth.
        target_size: ``(height, width)`` to resize it to.
        interpolation: how: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"``
            or ``"hamming"``. Pillow averages when it shrinks, but for ``"nearest"``.
        keep_aspect_ratio: whether to cut off what is too long first, from both ends.

    Raises:
        ValueError: an unknown colour mode or interpolation, or values that colours cannot hold.
        OSError: the file cannot be opened, or holds no image, or not all of it.
        ImportError: Pillow is not installed.
    """
    Image = _pillow()
    mode = _MODES[_chosen("color mode", color_mode, tuple(_MODES))]
    how = Image.Resampling[_chosen("interpolation", interpolation, _INTERPOLATIONS).upper()]
    try:
        with Image.open(path) as file:
            file.load()
            image = _converted(file, mode, path)
    except (FileNotFoundError, IsADirectoryError, PermissionError, _Unfit):
        raise
    except Exception as error:  # the many readers of Pillow raise all kinds on damaged files
        raise OSError(f"{_name(path)} cannot be read as an image: {error}") from error
    if target_size is None:
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        w, h = image.size
        kept_w, kept_h = min(w, h * width / height), min(h, w * height / width)
        left, top = (w - kept_w) / 2, (h - kept_h) / 2
        box = (left, top, left + kept_w, top + kept_h)
    if image.mode == "I;16":  # which older versions of Pillow cannot resize
        return image.convert("I").resize((width, height), how, box=box).convert("I;16")
    return image.resize((width, height), how, box=box)


class _Unfit(ValueError):
    """An image that is whole, but cannot be had as asked."""


def _converted(image: Any, mode: str, path: Any) -> Any:
    """An image as ``"L"``, ``"RGB"`` or ``"RGBA"``; for ``"L"``, grey of any depth stays as it is.

    Pillow itself cuts whatever is above 255 down to it.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        if mode == "L":
            return image.copy() if image.mode == "I;16" else image.convert("I").convert("I;16")
        values = np.asarray(image.convert("I"))
        return _pillow().fromarray((values >> 8).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        if mode == "L":
            return image.copy()
        values = np.asarray(image)
        if not np.array_equal(np.asarray(image.convert("L")), values):
            raise _Unfit(
                f"{_name(path)} holds numbers from {values.min():g} to {values.max():g}, expected "
                "whole ones from 0 to 255 for colours: color_mode='grayscale' keeps them."
            )
    if image.mode == "LAB":  # from which Pillow makes nothing else
        image = image.convert("RGB")
    return image.convert(mode)


def _name(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, (str, bytes, os.PathLike)) else repr(path)


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
        scale: whether to stretch the values to 0 ... 255. Otherwise fractions are cut off, and
            values outside are moved to 0 or 255; but grey has 16 or 32 bits where it needs them.
        dtype: to compute in. Default: float32.

    Raises:
        ValueError: another shape, or a value that is NaN or infinite.
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
    if not np.isfinite(array).all():
        raise ValueError("array_to_img() expects finite values, received NaN or Inf.")
    if scale and array.size:
        array = array - array.min()
        array = array * (255 / array.max()) if array.max() > 0 else array
    if array.shape[-1] > 1:
        return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
    grey = array[..., 0]
    highest = grey.max(initial=0)
    kind = np.uint8 if highest < 256 else np.uint16 if highest < 2**16 else np.int32
    return Image.fromarray(np.clip(grey, 0, np.iinfo(kind).max).astype(kind))


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
        file_format: as Pillow calls it, as in ``"png"``; ``"jpg"`` is ``"jpeg"``.
        **kwargs: for Pillow's ``Image.save``.

    Raises:
        ValueError: a format that Pillow does not write, or that cannot hold these values.
    """
    Image = _pillow()
    image = array_to_img(x, data_format, scale)
    Image.init()
    if file_format is None and isinstance(path, (str, os.PathLike)):
        suffix = Path(path).suffix.lower()
        file_format = Image.registered_extensions().get(suffix, suffix.removeprefix("."))
    kind = None if file_format is None else file_format.upper().replace("JPG", "JPEG")
    if kind is not None and kind not in Image.SAVE:
        raise unknown_name("image format", file_format, map(str.lower, Image.SAVE))
    if image.mode == "RGBA" and kind == "JPEG":
        warnings.warn("JPEG has no transparency: the fourth channel is left out.", stacklevel=2)
        image = image.convert("RGB")
    if image.mode.startswith("I") and (kind not in _DEEP or (kind, image.mode) == ("PNG", "I")):
        raise ValueError(
            f"{kind} cannot hold grey values up to {np.asarray(image).max()}. Pass scale=True for "
            "0 to 255, or write a PNG (up to 65535) or a TIFF."
        )
    image.save(path, format=kind, **kwargs)


class ImageBatches(Batches):
    """Batches of images, read while the batch before is trained on.

    Attributes:
        workers, max_queue_size: the threads that read ahead, and how many batches; see
            `PyDataset`. May be set.
        class_names: in the order of their numbers.
        file_paths: of all images, in the order before shuffling.
    """

    class_names: list[str] | None
    file_paths: list[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.workers, self.max_queue_size = 2, 4


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
        class_names: the folders, or some of them, in the order of the class numbers. Default: by
            alphabet. What is hidden, its name beginning with a dot, counts for nothing.
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
        file is read shortly before its batch is needed. ``"grayscale"`` keeps values above 255, see
        `load_img`.

    Raises:
        ValueError: a setting that makes no sense, no images, or labels that do not fit them.
        FileNotFoundError: there is no such folder.
        OSError: when its batch is asked for, a file that holds no image, or not all of it.
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
        without = [n for i, n in enumerate(names) if all(number != i for _, number in found)]
        if found and without:
            warnings.warn(
                f"No images found of {', '.join(map(repr, without))} in {os.fspath(directory)!r}, "
                f"which {'is a class' if len(without) == 1 else 'are classes'} all the same. Pass "
                "class_names to leave folders out.",
                stacklevel=2,
            )
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
        of = "" if names is None else f" of {counted(len(names), 'class', 'classes')}"
        print(f"Found {counted(len(found), 'image')}{of}.")
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
    above = _above(root)
    folders = sorted(
        p.name
        for p in root.iterdir()
        if p.is_dir() and not _is_hidden(p.name) and os.path.realpath(p) not in above
    )
    if given is None:
        return folders
    if len(set(given)) != len(given) or not set(given) <= set(folders):
        raise ValueError(f"class_names {list(given)} are not the folders in {root}: {folders}.")
    return list(given)


def _images(folder: Path, follow_links: bool) -> list[Path]:
    """Every image below a folder, by alphabet."""
    return sorted(
        p for p in _files(folder, follow_links, _above(folder)) if p.suffix.lower() in SUFFIXES
    )


def _files(folder: Path, follow_links: bool, above: set[str]) -> Iterator[Path]:
    """Every file below a folder that is not hidden.

    Args:
        above: the real paths of the folder and those it is in, where a link closes a circle.
    """
    for path in folder.iterdir():
        if _is_hidden(path.name):
            continue
        if not path.is_dir():
            yield path
        elif follow_links or not path.is_symlink():
            real = os.path.realpath(path)
            if real not in above:
                yield from _files(path, follow_links, above | {real})


def _above(folder: Path) -> set[str]:
    real = Path(os.path.realpath(folder))
    return {str(real), *map(str, real.parents)}


def _is_hidden(name: str) -> bool:
    """Such as ``.ipynb_checkpoints``, ``.DS_Store`` and the ``._1.jpg`` in archives of macOS."""
    return name.startswith(".")


def _as_labels(numbers: Array, mode: str | None, classes: int) -> Array:
    if mode == "categorical":
        return np.eye(classes, dtype="float32")[numbers]
    return numbers.astype("float32")[:, None] if mode == "binary" else numbers.astype("int32")
