"""`plot_model`: a model as a picture in a file (extra ``plot``)."""

from __future__ import annotations

import os
from typing import Any


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = True,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = True,
    show_trainable: bool = False,
) -> Any:
    """Draw the layers of a model as blocks with their shapes; see `gradtape.plot.architecture`.

    Args:
        model: a model that has been built.
        to_file: where to write it: the ending says the format (png, svg, pdf); None: nowhere.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations,
            show_trainable: accepted as Keras takes them; the picture is the same: names, shapes,
            parameters and activations, from the top down.
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
