"""Images moved, turned and scaled: `affine_transform` and its gradient, which are adjoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.registry import op
from ..autograd.tensor import Tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, between

Array = np.ndarray

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
INTERPOLATIONS = ("nearest", "bilinear")


def _samples(rng: Generator) -> Iterator[Sample]:
    for shape in [(2, 3, 4, 1), (1, 4, 2, 3), (1, 1, 3, 1), (3, 2, 2, 2), (0, 3, 3, 1),
                  (2, 5, 1, 1), (1, 2, 3, 2)]:  # fmt: skip
        for fill_mode in FILL_MODES:
            for interpolation in INTERPOLATIONS:
                maps = np.array([1, 0, 0, 0, 1, 0]) + between(-0.9, 0.9)(rng, (shape[0], 6))
                maps[:, [2, 5]] += between(-3, 3)(rng, (shape[0], 2))
                settings: dict[str, Any] = {"fill_mode": fill_mode, "interpolation": interpolation}
                if interpolation == "bilinear":
                    settings["fill_value"] = 0.5
                yield Sample(between(-2, 2)(rng, shape), maps, **settings).without_gradient(1)


def _gradient_samples(rng: Generator) -> Iterator[Sample]:
    for sample in _samples(rng):
        sample.settings.pop("fill_value", None)
        yield sample


def _check(x: Tensor, maps: Tensor, **settings: Any) -> dict[str, Any]:
    name = "affine_transform"
    for setting, known in (("fill_mode", FILL_MODES), ("interpolation", INTERPOLATIONS)):
        if settings[setting] not in known:
            raise ValueError(
                f"{name}: {setting} must be one of {', '.join(known)}, received "
                f"{settings[setting]!r}."
            )
    if x.ndim != 4 or (x.size and 0 in x.shape[1:3]):
        raise ShapeError(f"{name}: expected images of shape (N, H, W, C), received {x.shape}.")
    if maps.shape != (len(x), 6):
        raise ShapeError(
            f"{name}: expected one map of six numbers for each image, shape {(len(x), 6)}, "
            f"received {maps.shape}."
        )
    if not np.isfinite(maps.data).all():
        raise ValueError(f"{name}: the maps must be finite.")
    return settings


def _moved(
    back: bool, x: Array, shape: tuple[int, ...], maps: Array, fill_mode: str, bilinear: bool,
    fill: float = 0.0,
) -> Array:  # fmt: skip
    source = np.ascontiguousarray(x if x.dtype.kind == "f" else x.astype(np.float32))
    out = np.zeros(shape, source.dtype)
    images, seen = (out, source) if back else (source, out)
    maps = np.ascontiguousarray(maps, np.float64)
    mode = FILL_MODES.index(fill_mode)
    kernels.affine.move(back, images, seen, maps, mode, bilinear, fill)
    return out


@op(
    gradients=(
        lambda g, out, x, maps, fill_mode, interpolation, fill_value: affine_transform_gradient(
            g, maps, fill_mode=fill_mode, interpolation=interpolation
        ),
        None,
    ),
    samples=_samples,
    resolve=_check,
)
def affine_transform(
    x: Array,
    maps: Array,
    /,
    fill_mode: str = "constant",
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Array:
    """Every image seen through an affine map of its own.

    Args:
        x: images, shape (N, H, W, C).
        maps: shape (N, 6): pixel (column x, row y) of the result is read from the image at
            ``(m0 x + m1 y + m2, m3 x + m4 y + m5)``. There is no gradient for them.
        fill_mode: how an image continues outside: ``"constant"`` (`fill_value`), ``"nearest"``
            (``a a | a b c | c c``), ``"reflect"`` (``b a | a b c | c b``) or ``"wrap"``
            (``b c | a b c | a b``).
        interpolation: ``"bilinear"`` between four pixels, or the ``"nearest"``.
        fill_value: for ``"constant"``.

    Returns:
        (N, H, W, C).

    Raises:
        ValueError, ShapeError: an unknown setting, no images, or not one map for each.
    """
    return _moved(False, x, x.shape, maps, fill_mode, interpolation == "bilinear", fill_value)


@op(
    gradients=(
        lambda v, out, g, maps, **s: affine_transform(v, maps, **s),
        None,
    ),
    samples=_gradient_samples,
    resolve=_check,
    linear=True,
)
def affine_transform_gradient(
    gradient: Array, maps: Array, /, fill_mode: str = "constant", interpolation: str = "bilinear"
) -> Array:
    """The gradient of `affine_transform` for x: every pixel's gradient goes back to where it read.

    Args:
        gradient: shape (N, H, W, C), of the result.
        maps, fill_mode, interpolation: as there.
    """
    bilinear = interpolation == "bilinear"
    return _moved(True, gradient, gradient.shape, maps, fill_mode, bilinear)
