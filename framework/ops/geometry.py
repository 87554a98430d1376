"""Where the windows of convolution and pooling lie: sizes, strides, padding, dilation per axis.

Settings arrive as users write them (``strides=2, padding="same"``) and leave as one int a spatial
axis, and a (before, after) pair of padding, which is what the tape records.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..samples import Generator

Array = np.ndarray
Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Triple = tuple[int, int, int]

_ONES = (1, 1, 1)
#: The spatial axes by rank, as error messages name them.
AXES = {1: "(N, L, C)", 2: "(N, H, W, C)", 3: "(N, D, H, W, C)"}


def integer(value: Any) -> int | None:
    """`value` as an int if it is a whole number of an integer type (bool is not), else None."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def per_axis(value: Any, rank: int, name: str, where: str, least: int = 1) -> Sizes:
    """A setting as one int a spatial axis, from an int for all of them or from one for each.

    Args:
        name, where: the setting and the op, for the message.
        least: the smallest value allowed.

    Raises:
        ValueError: not an int, not one an axis, or below `least`.
    """
    one = integer(value)
    if one is not None:
        sizes: Sequence[int | None] = (one,) * rank
    elif isinstance(value, (tuple, list, np.ndarray)):
        sizes = [integer(v) for v in value]
    else:
        sizes = ()
    numbers = tuple(s for s in sizes if s is not None)
    if len(sizes) != rank or len(numbers) != rank or min(numbers) < least:
        raise ValueError(
            f"{where} expected {name} to be an int of at least {least}, or {rank} of them (one a "
            f"spatial axis), received {name}={value!r}."
        )
    return numbers


def extent(kernel_size: Sizes, dilation: Sizes) -> Sizes:
    """The pixels a dilated kernel reaches over, first to last tap."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True))


def output_size(input_size: Sizes, kernel: Sizes, strides: Sizes, padding: Pairs) -> Sizes:
    """``floor((n - k + p + s) / s)`` for each axis, `kernel` being the (dilated) extent."""
    return tuple(
        (n - k + sum(p) + s) // s
        for n, k, s, p in zip(input_size, kernel, strides, padding, strict=True)
    )


def resolve_padding(
    padding: Any, input_size: Sizes, kernel: Sizes, strides: Sizes, where: str
) -> Pairs:
    """Padding as (before, after) for each spatial axis.

    Args:
        padding: "valid" (none), "same" (``ceil(n / s)`` outputs, the smaller half first, as Keras
            and TensorFlow do), "causal" (1-D; all of it before, so that no output sees the future),
            an int for every side, an int or a (before, after) pair for each axis.
        kernel: the (dilated) extent of the kernel.

    Raises:
        ValueError: none of these, or negative.
    """
    rank = len(input_size)
    if isinstance(padding, str):
        name = padding.lower()
        if name == "valid":
            return ((0, 0),) * rank
        if name == "causal" and rank == 1:
            return ((kernel[0] - 1, 0),)
        if name == "same":
            totals = [
                max((-(-n // s) - 1) * s + k - n, 0)
                for n, k, s in zip(input_size, kernel, strides, strict=True)
            ]
            return tuple((total // 2, total - total // 2) for total in totals)
    pairs: list[tuple[int, int]] = []
    if isinstance(padding, (tuple, list, np.ndarray)):
        entries = list(padding)
        if rank == 1 and len(entries) == 2:  # (left, right)
            entries = [entries]
    else:
        entries = [padding] * rank
    for entry in entries:
        both = entry if isinstance(entry, (tuple, list, np.ndarray)) else (entry, entry)
        sides = [integer(side) for side in both]
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None and min(both) >= 0:
            pairs.append((sides[0], sides[1]))
    if len(pairs) != len(entries) or len(pairs) != rank or isinstance(padding, str):
        example = ", ".join(["(before, after)"] * rank) + ("," if rank == 1 else "")
        causal = ", 'causal'" if rank == 1 else ""
        raise ValueError(
            f"{where} expected padding to be 'valid', 'same'{causal}, an int of at least 0, or "
            f"({example}), received padding={padding!r}."
            + (" Causal padding is for 1-D sequences." if padding == "causal" else "")
        )
    return tuple(pairs)


def check_output(
    output: Sizes, input_size: Sizes, kernel: Sizes, padding: Pairs, where: str, what: str
) -> None:
    """Refuse a window that does not fit into the padded input.

    Raises:
        ShapeError: naming the first such axis.
    """
    for axis, size in enumerate(output):
        if size < 1:
            padded = input_size[axis] + sum(padding[axis])
            raise ShapeError(
                f"{where}: the {what} reaches over {kernel[axis]} elements of spatial axis {axis}, "
                f"but the input of spatial size {input_size} has only {padded} there, padding "
                f"included. Use a larger input, a smaller {what}, or padding='same'."
            )


def frozen(value: Any) -> Any:
    """`value` with its lists and arrays as tuples, so that it can be a key."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(frozen(v) for v in value)
    return value


class Windows(NamedTuple):
    """The geometry a kernel takes: every rank as three axes, unit ones in front."""

    input_size: Triple
    output_size: Triple
    kernel_size: Triple
    strides: Triple
    before: Triple
    dilation: Triple

    @property
    def are_pixels(self) -> bool:
        """Whether window r is pixel r: one tap, moved by one, nothing padded."""
        return self.kernel_size == self.strides == _ONES and self.input_size == self.output_size

    @property
    def are_images(self) -> bool:
        """Whether window r is the whole of image r."""
        return (
            self.kernel_size == self.input_size
            and self.output_size == self.dilation == _ONES
            and not any(self.before)
        )


def _three(sizes: Sizes, fill: int) -> Any:
    return (fill,) * (3 - len(sizes)) + sizes


@lru_cache(maxsize=1024)
def windows(
    input_size: Sizes, kernel_size: Sizes, strides: Sizes, padding: Pairs, dilation: Sizes
) -> Windows:
    """The `Windows` of canonical settings."""
    output = output_size(input_size, extent(kernel_size, dilation), strides, padding)
    before = tuple(p[0] for p in padding)
    return Windows(
        _three(input_size, 1),
        _three(output, 1),
        _three(kernel_size, 1),
        _three(strides, 1),
        _three(before, 0),
        _three(dilation, 1),
    )


def conv_settings(
    where: str,
    x_shape: Sizes,
    kernel_shape: Sizes,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: Any = 1,
) -> tuple[dict[str, Any], Sizes]:
    """The settings of a convolution in canonical form, and the shape of its output.

    Args:
        where: the op, for messages.
        x_shape: (N, *spatial, C).
        kernel_shape: (*kernel_size, C // groups, c_out).

    Raises:
        ShapeError: a rank, a channel count or a size that does not fit.
        ValueError: a setting that fits no shape.
    """
    given = frozen(strides), frozen(padding), frozen(dilation), groups
    settings, output = _conv_settings(where, x_shape, kernel_shape, *given)
    return settings.copy(), output


@lru_cache(maxsize=4096, typed=True)
def _conv_settings(
    where: str,
    x_shape: Sizes,
    kernel_shape: Sizes,
    strides: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> tuple[dict[str, Any], Sizes]:
    rank = len(kernel_shape) - 2
    if rank not in AXES or not math.prod(kernel_shape):
        raise ShapeError(
            f"{where} expected a kernel of shape (*kernel_size, c_in // groups, c_out), with 1 to "
            f"3 spatial axes and none empty, received shape {kernel_shape}."
        )
    check_rank(where, x_shape, rank)
    share, filters = kernel_shape[-2:]
    number = integer(groups)
    if number is None or number < 1:
        raise ValueError(
            f"{where} expected groups to be an int of at least 1, received {groups!r}."
        )
    if x_shape[-1] != share * number:
        raise ShapeError(
            f"{where} expected {share * number} input channels (axis -1) for a kernel of shape "
            f"{kernel_shape} and groups={number}, received x of shape {x_shape}."
            + _channels_hint(x_shape, share, number)
        )
    if filters % number:
        raise ShapeError(
            f"{where} cannot split {filters} filters (axis -1 of a kernel of shape {kernel_shape}) "
            f"into groups={number}. Use a multiple of {number} filters, or fewer groups."
        )
    settings, size = _window_settings(
        where, x_shape, "kernel", kernel_shape[:-2], strides, padding, dilation
    )
    del settings["kernel"]
    return settings | {"groups": number}, (x_shape[0], *size, filters)


def window_settings(
    where: str,
    x_shape: Sizes,
    name: str,
    size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
) -> tuple[dict[str, Any], Sizes]:
    """The settings of sliding windows in canonical form, and how many fit on each spatial axis.

    Args:
        where: the op, for messages.
        x_shape: (N, *spatial, C).
        name, size: the setting that holds the window's size, and its value.

    Raises:
        ShapeError: a rank or a size that does not fit.
        ValueError: a setting that fits no shape.
    """
    given = frozen(size), frozen(strides), frozen(padding), frozen(dilation)
    settings, output = _cached_window_settings(where, x_shape, name, *given)
    return settings.copy(), output


def _window_settings(
    where: str,
    x_shape: Sizes,
    name: str,
    size: Any,
    strides: Any,
    padding: Any,
    dilation: Any,
) -> tuple[dict[str, Any], Sizes]:
    rank = len(x_shape) - 2
    check_rank(where, x_shape, rank)
    input_size = x_shape[1:-1]
    size = per_axis(size, rank, name, where)
    strides = per_axis(strides, rank, "strides", where)
    dilation = per_axis(dilation, rank, "dilation", where)
    reach = extent(size, dilation)
    pairs = resolve_padding(padding, input_size, reach, strides, where)
    output = output_size(input_size, reach, strides, pairs)
    check_output(output, input_size, reach, pairs, where, name)
    return {name: size, "strides": strides, "padding": pairs, "dilation": dilation}, output


_cached_window_settings = lru_cache(maxsize=4096, typed=True)(_window_settings)


def check_rank(where: str, x_shape: Sizes, rank: int) -> None:
    """Refuse an array that has not `rank` spatial axes, or a rank beyond 3."""
    if rank not in AXES:
        raise ShapeError(
            f"{where} expected x of shape {' or '.join(AXES.values())}, received {x_shape}."
        )
    if len(x_shape) != rank + 2:
        hint = ""
        if len(x_shape) == rank + 1:
            hint = " Add the missing axis: x[None] for a batch of one, x[..., None] for a channel."
        raise ShapeError(f"{where} expected x of shape {AXES[rank]}, received {x_shape}.{hint}")


def _channels_hint(x_shape: Sizes, share: int, groups: int) -> str:
    if groups > 1 and x_shape[-1] == share:
        return f" With groups={groups} a kernel holds c_in // {groups} channels, not c_in."
    if x_shape[1] == share * groups:
        return (
            f" Axis 1 has {x_shape[1]}: the array looks channels first. Move that axis to the end "
            "(np.moveaxis(x, 1, -1)), or pass data_format='channels_first' to the layer."
        )
    if groups == 1 and x_shape[-1] and x_shape[-1] % share == 0:
        return f" Did you mean groups={x_shape[-1] // share}?"
    return ""


def transposed_size(
    size: Sizes, kernel: Sizes, strides: Sizes, padding: Any, output_padding: Any, where: str
) -> tuple[Sizes, Pairs]:
    """The output size of a transposed convolution, and the padding of the one it transposes.

    Args:
        size: the spatial size that goes in (and comes out of the convolution it transposes).
        kernel: the (dilated) extent of the kernel.
        output_padding: None, or an int below the stride, or one for each spatial axis.

    Raises:
        ShapeError: nothing is left.
        ValueError: a setting that fits no shape.
    """
    rank = len(size)
    extra = (0,) * rank
    if output_padding is not None:
        extra = per_axis(output_padding, rank, "output_padding", where, least=0)
        if any(e >= s for e, s in zip(extra, strides, strict=True)):
            raise ValueError(
                f"{where} expected output_padding below the strides {strides}, received "
                f"output_padding={output_padding!r}."
            )
    name = padding.lower() if isinstance(padding, str) else None
    if name == "causal":
        raise ValueError(
            f"{where} expected padding 'valid', 'same', an int or pairs: not 'causal'."
        )
    if name not in ("valid", "same"):
        pairs = resolve_padding(padding, size, kernel, strides, where)
    elif output_padding is not None and name == "same":
        pairs = tuple((k // 2, k // 2) for k in kernel)
    elif output_padding is None and name == "same":
        pairs = tuple((max(k - s, 0), 0) for k, s in zip(kernel, strides, strict=True))
    else:
        pairs = ((0, 0),) * rank
    if name is not None and output_padding is None:  # the largest size that the stride allows
        extra = tuple(max(s - k, 0) for k, s in zip(kernel, strides, strict=True))
    output = tuple(
        (n - 1) * s + k - sum(p) + e
        for n, k, s, p, e in zip(size, kernel, strides, pairs, extra, strict=True)
    )
    if min(output) < 1:
        raise ShapeError(
            f"{where}: an input of spatial size {size}, a kernel that reaches over {kernel} and "
            f"padding={padding!r} leave an output of size {output}. Use less padding or a larger "
            "input."
        )
    if name == "same":  # what the convolution back needs, the smaller half first
        totals = [
            max((n - 1) * s + k - o, 0)
            for n, k, s, o in zip(size, kernel, strides, output, strict=True)
        ]
        pairs = tuple((total // 2, total - total // 2) for total in totals)
    return output, pairs


def floats(*arrays: Array) -> list[Array]:
    """Contiguous, and all float64 if one of them is, else all float32."""
    double = any(a.dtype == np.float64 for a in arrays)
    return [np.ascontiguousarray(a, np.float64 if double else np.float32) for a in arrays]


def volumes(x: Array) -> Array:
    """(N, *spatial, C) of any rank as (N, D, H, W, C): a view."""
    return x.reshape(len(x), *(1,) * (5 - x.ndim), *x.shape[1:])


def draw(rng: Generator, shape: Sizes) -> Array:
    """Values in [-1, 1] for a sample, half the time in another memory order than C's."""
    return arranged(rng, rng.uniform(-1, 1, shape))


def arranged(rng: Generator, values: Array) -> Array:
    """The same values in a memory order drawn at random: for samples, half of them contiguous."""
    order = rng.integers(6)
    if order == 0:
        return np.asfortranarray(values)
    if order == 1:
        return np.flip(np.flip(values).copy())
    if order == 2:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    return values
