"""What all pictures share: figures without windows, colours, and images side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.backends import BackendFilter, backend_registry
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#8A8A8A", "#222222"
DPI = 150
TITLE: dict[str, Any] = {"fontsize": 12, "fontweight": "bold", "color": INK}
#: Zero is white, positive numbers are orange, negative ones purple.
SIGNED = "PuOr_r"
CROSS, TICK, TIMES = "\N{BALLOT X}", "\N{CHECK MARK}", "\N{MULTIPLICATION SIGN}"


class Picture(Figure):
    """A figure that a notebook shows by itself, and a window where there are windows."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        super().savefig(*args, **{"dpi": DPI, **kwargs})

    def show(self, warn: bool = True) -> None:
        """Show it in a window; a warning where the backend has none."""
        self.open_window()
        super().show(warn)

    def open_window(self) -> None:
        """Give it a window of pyplot's, unless it has one: ``plt.show()`` then shows it, too."""
        from matplotlib import pyplot  # slow to import, and looks for a display

        if self.canvas.manager is None:
            pyplot.figure(FigureClass=lambda *args, **kwargs: self)  # type: ignore[arg-type]

    def close_window(self) -> None:
        """Take it from pyplot again."""
        if self.canvas.manager is not None:
            sys.modules["matplotlib.pyplot"].close(self)

    def _repr_png_(self) -> bytes:
        out = BytesIO()
        self.savefig(out, format="png")
        return out.getvalue()


def new_figure(width: float, height: float, layout: bool = True) -> Figure:
    """A figure of that many inches.

    Args:
        layout: whether axes find their places by themselves.
    """
    figure = Picture(figsize=(width, height), facecolor="white")
    if _windows_wanted():
        figure.open_window()
    else:
        FigureCanvasAgg(figure)
        figure.dpi = DPI
    if layout:  # inches around each axes
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    return figure


def _windows_wanted() -> bool:
    """Whether a script is at work that may call ``plt.show()``, where that can open windows.

    Notebooks show a picture by themselves, and once is enough.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return False
    backend = pyplot.get_backend().lower()
    silent = backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
    notebook = any(name in backend for name in ("inline", "nbagg", "ipympl", "widget"))
    return not notebook and backend not in map(str.lower, silent)


def as_image(image: Any) -> np.ndarray:
    """``(H, W)``, ``(H, W, 1)`` or ``(H, W, 3)`` as Matplotlib draws it.

    Raises:
        ValueError: another shape.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[-1] != 3):
        raise ValueError(
            f"Expected an image (H, W), (H, W, 1) or (H, W, 3), received {image.shape}"
        )
    return image


def show_image(axes: Any, image: Any, **settings: Any) -> None:
    """Draw an image: one channel as ink on paper, three as colours."""
    image = as_image(image)
    axes.imshow(image, cmap="gray_r" if image.ndim == 2 else None, **settings)


def sheet(maps: np.ndarray, columns: int, block: int = 4, gap: int = 2) -> np.ndarray:
    """Maps ``(h, w, count)`` side by side in one image, with nothing (NaN) between them.

    Args:
        columns: how many in a row.
        block: pixels along a side of an element, so that the gap can be narrower than one.
        gap: pixels between maps.
    """
    height, width, count = maps.shape
    rows = -(-count // columns)
    cell_h, cell_w = height * block + gap, width * block + gap
    whole = np.full((rows * cell_h - gap, columns * cell_w - gap), np.nan)
    for number in range(count):
        top, left = number // columns * cell_h, number % columns * cell_w
        blocks = np.kron(maps[..., number], np.ones((block, block)))
        whole[top : top + height * block, left : left + width * block] = blocks
    return whole


def class_name(number: Any, classes: Sequence[str] | None) -> str:
    """What a class is called."""
    return classes[int(number)] if classes else str(int(number))


def dimensions(shape: Sequence[int | None]) -> str:
    """The shape of a sample as in ``28x28x6``."""
    return TIMES.join("?" if n is None else str(n) for n in shape)
