"""Pictures: they are drawn for every kind of input, and leave Matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import plot

RNG = np.random.default_rng(0)
HISTORY = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "accuracy": [0.5, 0.9], "lr": [1.0, 1.0]}
PNG = b"\x89PNG"


def texts(figure: plot.Figure) -> list[str]:
    """Everything written in a figure, with a plain x for times."""
    from matplotlib.text import Text

    return [artist.get_text().replace(plot.style.TIMES, "x") for artist in figure.findobj(Text)]


def test_learning_curves_show_what_the_history_has() -> None:
    figure = plot.learning_curves(HISTORY)
    loss, accuracy = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1.0, 0.5], [1.1, 0.7]]
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2], [1, 2]]
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [[50.0, 90.0]]


def test_learning_curves_take_what_fit_returned() -> None:
    model = gt.Sequential([gt.Input((2,)), gt.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0)
    loss, _ = plot.learning_curves(history).axes
    assert loss.lines[0].get_ydata().tolist() == history.history["loss"]


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


@pytest.mark.parametrize(("kernel", "count"), [(None, 1), (np.ones((3, 3, 1, 4)), 21), (None, 60)])
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


# Of what a net gets wrong

SCORES = np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0, 0.95, 0.05]])
LABELS = np.array([0, 1, 1, 2])


def test_the_confusion_matrix_counts() -> None:
    figure = plot.confusion_matrix(LABELS, SCORES, ["ant", "bee", "cat"])
    said = texts(figure)
    assert "2 of 4 right (50.0%)" in said
    assert {"ant   100%", "bee   50%", "cat   0%"} <= set(said)
    counts = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert counts == {(0, 0): "1", (1, 1): "1", (0, 1): "1", (1, 2): "1"}  # (predicted, true)


def test_the_confusion_matrix_takes_classes_and_columns_of_labels() -> None:
    one = plot.confusion_matrix(LABELS[:, None], SCORES.argmax(axis=1))
    other = plot.confusion_matrix(LABELS, SCORES)
    assert texts(one) == texts(other)


@pytest.mark.parametrize("predicted", [np.zeros(3), np.zeros(0)])
def test_labels_without_predictions_are_refused(predicted: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a prediction for each label"):
        plot.confusion_matrix(LABELS, predicted)


def test_the_worst_mistakes_come_surest_first() -> None:
    figure = plot.worst_mistakes(np.zeros((4, 5, 5, 1)), LABELS, SCORES, ["ant", "bee", "cat"])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["✗ bee, is cat", "✗ ant, is bee"]
    assert "The 2 surest of 2 mistakes among 4 images" in texts(figure)
    assert {"95%", "5%", "60%", "30%"} <= set(texts(figure))
    few = plot.worst_mistakes(np.zeros((4, 5, 5)), LABELS, SCORES, count=1)
    assert [axes.get_title() for axes in few.axes if axes.get_title()] == ["✗ 1, is 2"]


def test_a_net_without_mistakes_says_so() -> None:
    figure = plot.worst_mistakes(np.zeros((2, 4, 4)), [0, 1], SCORES[:2])
    assert "no mistakes" in texts(figure)


def test_worst_mistakes_need_scores() -> None:
    with pytest.raises(ValueError, match="row of scores"):
        plot.worst_mistakes(np.zeros((4, 5, 5)), LABELS, LABELS)


# Of what is in a net


@pytest.fixture(scope="module")
def lenet() -> gt.Sequential:
    gt.utils.set_random_seed(0)
    return gt.models.LeNet5()


IMAGE = RNG.random((28, 28, 1)).astype(np.float32)


def test_feature_maps_show_every_layer(lenet: gt.Sequential) -> None:
    figure = plot.feature_maps(lenet, IMAGE)
    said = texts(figure)
    assert [name for name in said if name in {v.name for v in lenet.layers}] == [
        "C1", "S2", "C3", "S4", "C5", "F6", "output",
    ]  # fmt: skip
    assert {"28x28x6", "5x5x16", "1x1x120", "84", "10"} <= set(said)
    (maps,) = figure.axes[1].images  # after the image itself: C1
    drawn = np.ma.filled(maps.get_array(), np.nan)
    c1 = gt.Model(lenet.input, lenet.get_layer("C1").output)(IMAGE[None]).numpy()
    assert np.array_equal(np.unique(drawn[~np.isnan(drawn)]), np.unique(c1))
    answer = lenet.predict(IMAGE[None], verbose=0)[0]
    heights = [bar.get_height() for bar in figure.axes[-1].patches]
    np.testing.assert_allclose(heights, answer, rtol=1e-5)


def test_feature_maps_of_chosen_layers(lenet: gt.Sequential) -> None:
    said = texts(plot.feature_maps(lenet, IMAGE[..., 0], layers=["C3"]))
    assert "C3" in said and "C1" not in said


def test_feature_maps_of_deep_nets_show_each_size_once() -> None:
    model = gt.models.ResNet20((28, 28, 1))
    said = texts(plot.feature_maps(model, IMAGE))
    assert {"conv2_3", "conv3_3", "conv4_3", "mean", "output"} <= set(said)
    assert "conv2_1" not in said


class Subclass(gt.Model):
    def call(self, x: gt.Tensor) -> gt.Tensor:
        return gt.ops.relu(x)


def test_feature_maps_need_to_know_the_layers() -> None:
    with pytest.raises(ValueError, match="Sequential or functional"):
        plot.feature_maps(Subclass(), IMAGE)


@pytest.mark.parametrize("label", [None, 7])
def test_saliency_is_the_gradient_of_the_score(lenet: gt.Sequential, label: int | None) -> None:
    figure = plot.saliency(lenet, IMAGE, label)
    scores = lenet.predict(IMAGE[None], verbose=0)[0]
    target = int(scores.argmax()) if label is None else label
    drawn = np.asarray(figure.axes[1].images[0].get_array())
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    step = np.zeros_like(IMAGE)
    step[row, column] = 0.01
    up, down = lenet.predict(np.stack([IMAGE + step, IMAGE - step]), verbose=0)[:, target]
    assert drawn.max() == pytest.approx(abs(np.log(up) - np.log(down)) / 0.02, rel=0.02)
    assert any(text.startswith(f"Saliency of {target} (") for text in texts(figure))


def test_saliency_of_scores_that_are_no_probabilities() -> None:
    model = gt.Sequential([gt.Input((4, 4, 3)), gt.layers.Flatten(), gt.layers.Dense(2)])
    figure = plot.saliency(model, RNG.random((4, 4, 3)), 1, ["cat", "dog"])
    weights = model.layers[1].kernel.numpy()[:, 1].reshape(4, 4, 3)
    drawn = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_allclose(drawn, np.abs(weights).max(axis=-1), rtol=1e-6)
    assert any(text.startswith("Saliency of dog (score") for text in texts(figure))


def boxes(figure: plot.Figure) -> dict[str, tuple[float, ...]]:
    """Left, top, width and height of each receptive field that is drawn."""
    patches = [p for p in figure.axes[0].patches if ":" in str(p.get_label())]
    return {
        str(p.get_label()).split(":")[0]: (p.get_x(), p.get_y(), p.get_width(), p.get_height())
        for p in patches
    }


def test_receptive_fields_are_drawn_to_scale(lenet: gt.Sequential) -> None:
    drawn = boxes(plot.receptive_field(lenet, ["S4"], position=(0, 1), image=IMAGE))
    assert drawn == {"S4": (4 - 2 - 0.5, -2 - 0.5, 16, 16)}
    all_of_them = boxes(plot.receptive_field(lenet))
    assert [box[2] for box in all_of_them.values()] == [32, 16, 14, 6, 5]  # the largest first


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda net: plot.receptive_field(net, "F6"), "no layer 'F6'"),
        (lambda net: plot.receptive_field(net, "C3", (10, 0)), r"none at \(10, 0\)"),
        (lambda net: plot.receptive_field(gt.models.MLP((784,))), "images as input"),
        (lambda net: plot.receptive_field(gt.models.MLP()), "No layer sees more"),
    ],
)
def test_receptive_fields_that_are_not_there(lenet: gt.Sequential, ask: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask(lenet)


# Architecture


def test_the_architecture_names_every_layer_with_its_shape(lenet: gt.Sequential) -> None:
    said = texts(plot.architecture(lenet))
    assert {v.name for v in lenet.layers} <= set(said)
    assert {"Conv2D 5x5, tanh", "AveragePooling2D 2x2 /2", "10x10x16   2,416 parameters"} <= set(
        said
    )
    assert "lenet5\n61,706 parameters\n416,520 multiply-adds" in said


def rectangles(figure: plot.Figure) -> list[tuple[float, ...]]:
    from matplotlib.patches import FancyBboxPatch

    found = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    return [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in found]


@pytest.mark.parametrize("net", ["resnet20", "googlenetsmall", "densenetsmall"])
def test_blocks_of_a_branched_net_do_not_touch(net: str) -> None:
    figure = plot.architecture(gt.models.build(net))
    blocks = rectangles(figure)
    assert len(blocks) > 20
    width, height = figure.get_size_inches()
    for i, (x, y, w, h) in enumerate(blocks):
        assert x >= 0 and x + w <= width and y + h <= height
        for left, low, wide, tall in blocks[i + 1 :]:
            assert x + w <= left or left + wide <= x or y + h <= low or low + tall <= y


def test_a_long_net_is_cut_into_columns() -> None:
    model = gt.models.ResNet20()
    tall = plot.architecture(model, columns=1).get_size_inches()
    wide = plot.architecture(model, columns=3).get_size_inches()
    assert wide[0] > 2 * tall[0] and wide[1] < tall[1] / 2


def test_activations_are_written_into_the_block_before_them_only_if_nothing_else_needs_it() -> None:
    x = gt.Input((4, 4, 2))
    h = gt.layers.Conv2D(2, 3, padding="same", name="conv")(x)
    out = gt.layers.Add(name="sum")([h, gt.layers.ReLU(name="own")(h)])
    model = gt.Model(x, gt.layers.Activation("relu", name="hidden")(out))
    said = texts(plot.architecture(model))
    assert "own" in said and "hidden" not in said
    assert "Add, relu" in said


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures_are_written_as_png_and_svg(
    lenet: gt.Sequential, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"net.{suffix}"
    plot.architecture(lenet).savefig(path)
    written = path.read_bytes()
    assert written.startswith(PNG) if suffix == "png" else b"<svg" in written


# Windows

WINDOWS = """
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

shown = []


class FigureManager(FigureManagerBase):
    def show(self):
        shown.append(self.canvas.figure)

    @classmethod
    def start_main_loop(cls):
        pass


class FigureCanvas(FigureCanvasAgg):
    required_interactive_framework = "headless"
    manager_class = FigureManager
"""


def run_in(folder: Path, *lines: str) -> None:
    """Run a script beside a module `windows`, a backend that remembers what it showed."""
    (folder / "windows.py").write_text(WINDOWS)
    (folder / "script.py").write_text("\n".join(lines))
    run = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, check=False, cwd=folder
    )
    assert run.returncode == 0, run.stderr


def test_windows_show_what_a_script_asks_for(tmp_path: Path) -> None:
    """A picture alone, all of them, and none where there are no windows."""
    run_in(
        tmp_path,
        "import matplotlib",
        "matplotlib.use('module://windows')",
        "from gradtape import plot",
        "figure = plot.learning_curves({'loss': [1.0, 0.5]})",
        "figure.show()",
        "import windows",
        "assert windows.shown == [figure]",
        # with pyplot
        "import matplotlib.pyplot as plt, numpy as np",
        "plt.close('all')",
        "windows.shown.clear()",
        "first = plot.learning_curves({'loss': [1.0, 0.5]})",
        "plot.filters(np.ones((3, 3, 1, 2)))",
        "assert len(plt.get_fignums()) == 2",
        "plt.show()",
        "assert len(windows.shown) == 2 and windows.shown[0] is first",
        "live = plot.LivePlot()",
        "live.on_epoch_end(0, {'loss': 1.0}), live.on_epoch_end(1, {'loss': 0.5})",
        "assert len(plt.get_fignums()) == 3",  # of a live plot, only the last
        "plt.close('all')",
        "first.savefig('a.png'), plot.learning_curves({'loss': [1.0]}).savefig('b.png')",
        # without windows, nothing piles up in pyplot
        "plt.close('all')",
        "matplotlib.use('agg')",
        "figures = [plot.learning_curves({'loss': [1.0]}) for _ in range(3)]",
        "assert plt.get_fignums() == []",
        "figures[0].savefig('c.png')",
    )
    from PIL import Image

    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        assert one.size == other.size == (1500, 570)  # files do not depend on the backend
