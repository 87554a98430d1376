"""Pictures of nets and of how they learn. Needs Matplotlib: the extra ``plot``.

Each function returns a Matplotlib figure. A notebook shows it; ``figure.savefig(path)`` writes it,
as ``.png``, ``.svg`` or ``.pdf``; in a script that has imported ``matplotlib.pyplot``,
``plt.show()`` shows all of them. Your backend is left alone, and nothing needs a display.
Colours are the colour-blind safe ones of Okabe and Ito (https://jfly.uni-koeln.de/color/); nothing
is said by colour alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import matplotlib  # noqa: F401  (so that its absence is reported here, and well)
except ImportError as error:
    raise ImportError(
        f"gradtape.plot needs Matplotlib ({error}). Install it with: pip install 'gradtape[plot]'"
    ) from error

from ..config.exports import exporting
from .diagram import architecture
from .fields import receptive_field
from .judging import confusion_matrix, worst_mistakes
from .live import LivePlot, learning_rates
from .looking import feature_maps, saliency
from .style import BLUE, GREY, INK, VERMILLION, Figure
from .training import History, filters, learning_curves, predictions, summary

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "VERMILLION",
    "Figure",
    "History",
    "LivePlot",
    "architecture",
    "confusion_matrix",
    "feature_maps",
    "filters",
    "learning_curves",
    "learning_rates",
    "predictions",
    "receptive_field",
    "saliency",
    "summary",
    "worst_mistakes",
]


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "picture")
