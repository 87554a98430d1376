"""Pictures: they are drawn for every kind of input, and leave Matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gradtape import plot

RNG = np.random.default_rng(0)
HISTORY = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.9], "lr": [1.0, 1.0]}
PNG = b"\x89PNG"


def texts(figure: plot.Figure) -> list[str]:
    """Everything written in a figure."""
    from matplotlib.text import Text

    return [artist.get_text() for artist in figure.findobj(Text)]


def test_learning_curves_show_what_the_history_has() -> None:
    figure = plot.learning_curves(HISTORY)
    loss, accuracy = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1.0, 0.5], [1.1, 0.7]]
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2], [1, 2]]
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [[50.0, 90.0]]


def test_an_empty_history_says_so() -> None:
    assert texts(plot.learning_curves({})).count("no complete epoch") == 2


@pytest.mark.parametrize("shape", [(5, 5, 1, 6), (3, 3, 3, 64), (1, 1, 2, 1), (11, 7, 3, 5)])
def test_filters_of_any_size(shape: tuple[int, ...]) -> None:
    kernel = RNG.normal(size=shape)
    image = plot.filters(kernel).axes[0].images[0].get_array()
    assert image is not None
    drawn = np.ma.filled(image, np.nan)
    assert np.isin(drawn[~np.isnan(drawn)], kernel.mean(axis=2)).all()
    assert len(np.unique(drawn[~np.isnan(drawn)])) == kernel[:, :, 0].size


def test_zero_filters_are_drawn() -> None:
    assert plot.filters(np.zeros((3, 3, 1, 2)))._repr_png_().startswith(PNG)


def test_a_kernel_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"received \(3, 3\)"):
        plot.filters(np.zeros((3, 3)))


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 3)])
def test_predictions_say_right_and_wrong_in_words_and_colour(shape: tuple[int, ...]) -> None:
    images = RNG.random((3, *shape))
    figure = plot.predictions(
        images, np.array([[0], [1], [1]]), np.array([0, 1, 0]), ["cat", "dog"]
    )
    titles = [axes.title for axes in figure.axes[:3]]
    assert [t.get_text() for t in titles] == ["✓ cat", "✓ dog", "✗ cat\nis dog"]
    assert [t.get_color() for t in titles] == [plot.BLUE, plot.BLUE, plot.VERMILLION]


def test_predictions_take_scores() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    figure = plot.predictions(np.zeros((2, 4, 4)), np.array([1, 1]), scores)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["✓ 1", "✗ 0, is 1"]


@pytest.mark.parametrize("kernel", [None, np.ones((3, 3, 1, 4))])
@pytest.mark.parametrize("count", [1, 21, 60])
def test_summary_shows_first_images_and_then_mistakes(
    kernel: np.ndarray | None, count: int
) -> None:
    labels = np.arange(count) % 10
    predicted = np.where(np.arange(count) >= 50, (labels + 1) % 10, labels)
    figure = plot.summary("A run", HISTORY, kernel, np.zeros((count, 4, 4)), labels, predicted)
    said = texts(figure)
    assert "A run" in said
    assert any(f"the first {min(count, 21)}" in text for text in said)
    assert sum(text.startswith("✗ ") for text in said) == (7 if count == 60 else 0)
    assert any("then mistakes" in text for text in said) == (count == 60)


def test_pictures_need_no_window_and_leave_the_backend_alone() -> None:
    script = (
        "import matplotlib, sys\n"
        "matplotlib.use('svg')\n"
        "from gradtape import plot\n"
        "assert plot.learning_curves({'loss': [1.0]})._repr_png_().startswith(b'\\x89PNG')\n"
        "assert matplotlib.get_backend() == 'svg'\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
