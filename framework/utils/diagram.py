"""`plot_model`: a model as a picture in a file (extra ``plot``)."""

from __future__ import annotations

import os
from typing import Any


def plot_model(
    model: Any, to_file: str | os.PathLike[str] | None = "model.png", dpi: int = 200
) -> Any:
    """Draw the layers of a model as blocks with their shapes; see `gradtape.plot.architecture`.

    Args:
        model: a model that has been built.
        to_file: where to write it: the ending says the format (png, svg, pdf); None: nowhere.
        dpi: dots per inch, of formats made of dots.

    Returns:
        The Matplotlib figure, which notebooks show.

    Raises:
        ImportError: Matplotlib is not installed.
        ValueError: the model has not been built, or the format is not known.
    """
    from .. import plot

    figure = plot.architecture(model)
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure
