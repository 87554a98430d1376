"""LeNet-5 as printed in 1998: table I, the subsampling, figure 3, equations 7 to 9."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gradtape as gt
from gradtape.models.digit_codes import EuclideanRBF, RBFPenalty, digit_codes
from gradtape.models.lenet_1998 import TABLE_I, Subsampling, TableConvolution, squash

RNG = np.random.default_rng(0)


def test_the_counts_and_shapes_of_the_paper():
    model = gt.models.LeNet5((32, 32, 1), original=True)
    shapes = {layer.name: layer.output_shape[1:] for layer in model.layers}
    assert shapes == {
        "C1": (28, 28, 6),
        "S2": (14, 14, 6),
        "C3": (10, 10, 16),
        "S4": (5, 5, 16),
        "C5": (1, 1, 120),
        "flatten": (120,),
        "F6": (84,),
        "output": (10,),
    }
    counts = {v.name: sum(w.size for w in v.trainable_weights) for v in model.layers}
    assert counts == {
        "C1": 156,
        "S2": 12,
        "C3": 1_516,
        "S4": 32,
        "C5": 48_120,
        "flatten": 0,
        "F6": 10_164,
        "output": 0,
    }
    assert sum(counts.values()) == 60_000
    assert model.count_params() == 60_000 + 840


def test_table_1_is_the_one_of_the_paper():
    table = TABLE_I.split()
    seen = [{i for i in range(6) if table[i][o] == "X"} for o in range(16)]
    assert seen == [
        *({i % 6, (i + 1) % 6, (i + 2) % 6} for i in range(6)),
        *({i % 6, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6} for i in range(6)),
        {0, 1, 3, 4},
        {1, 2, 4, 5},
        {0, 2, 3, 5},
        {0, 1, 2, 3, 4, 5},
    ]


def test_a_map_of_c3_depends_on_the_maps_that_table_1_marks_and_no_others():
    layer = TableConvolution()
    x = RNG.normal(size=(1, 5, 5, 6)).astype("float32")
    before = layer(x).numpy()[0, 0, 0]
    for i, row in enumerate(TABLE_I.split()):
        changed = x.copy()
        changed[..., i] += 1
        moved = layer(changed).numpy()[0, 0, 0] != before
        assert moved.tolist() == [c == "X" for c in row]


def test_c3_sees_six_maps():
    with pytest.raises(ValueError, match="6 maps of S2, received"):
        TableConvolution()(np.zeros((1, 8, 8, 5), np.float32))


def test_initial_weights_lie_within_2_point_4_over_fan_in():
    model = gt.models.LeNet5(original=True)
    for name, fan_in in [("C1", 25), ("C5", 400), ("F6", 120)]:
        kernel = model.get_layer(name).kernel.numpy()
        assert 0.8 * 2.4 / fan_in < np.abs(kernel).max() <= 2.4 / fan_in
    kernel = model.get_layer("C3").kernel.numpy()
    inputs = [row for row in range(6) for _ in range(TABLE_I.split()[row].count("X"))]
    assert kernel.shape == (5, 5, len(inputs)) == (5, 5, 60)
    columns = [o for row in TABLE_I.split() for o, c in enumerate(row) if c == "X"]
    for k, o in enumerate(columns):
        fan_in = 25 * columns.count(o)
        assert 0.5 * 2.4 / fan_in < np.abs(kernel[..., k]).max() <= 2.4 / fan_in


def test_subsampling_is_a_squashed_multiple_of_the_sum():
    layer = Subsampling()
    x = RNG.normal(size=(2, 4, 6, 3)).astype("float32")
    layer(x)
    layer.bias.assign([0.5, -0.5, 0.0])
    sums = x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]
    expected = 1.7159 * np.tanh(2 / 3 * (layer.coefficient.numpy() * sums + layer.bias.numpy()))
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_squash_keeps_one_and_minus_one():
    assert squash(gt.tensor([1.0, -1.0, 0.0])).numpy() == pytest.approx([1, -1, 0], abs=1e-4)


def test_codes_are_ten_different_pictures_of_7x12():
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(codes.ravel().tolist()) == {-1.0, 1.0}
    apart = ((codes[:, None] - codes[None]) ** 2).sum(axis=-1) / 4  # pixels that differ
    assert apart[~np.eye(10, dtype=bool)].min() >= 10
    one = "\n".join("".join(" #"[int(p > 0)] for p in row) for row in codes[1].reshape(12, 7))
    assert one.splitlines()[0] == "   ##  "
    assert one.splitlines()[9] == " ######"


def test_the_output_is_minus_the_squared_distance_to_each_code():
    x = RNG.normal(size=(4, 84)).astype("float32")
    expected = [[-sum((a - c) ** 2) for c in digit_codes()] for a in x]
    np.testing.assert_allclose(EuclideanRBF()(x).numpy(), expected, rtol=1e-5)
    answers = EuclideanRBF()(digit_codes()).numpy()
    assert answers.argmax(axis=1).tolist() == list(range(10))
    assert np.diag(answers).tolist() == [0.0] * 10


def test_equations_8_and_9():
    penalties, labels = RNG.uniform(0, 5, (6, 10)), RNG.integers(0, 10, 6)
    right = penalties[np.arange(6), labels]
    eight = RBFPenalty(None)(labels, -penalties).numpy()
    assert eight == pytest.approx(right.mean())
    nine = RBFPenalty(2.0)(labels, -penalties).numpy()
    assert nine == pytest.approx((right + np.log(np.exp(-2) + np.exp(-penalties).sum(1))).mean())


@pytest.mark.parametrize("j", [None, 1.0])
def test_the_gradient_of_the_penalty(j):
    labels = np.array([0, 3, 9])
    gt.gradcheck(lambda y: RBFPenalty(j)(labels, -y), RNG.uniform(0, 3, (3, 10)))


def test_the_codes_stay_as_they_are_unless_told():
    model = gt.models.LeNet5(original=True)
    model.compile("sgd", RBFPenalty(), metrics=["accuracy"])
    model.fit(RNG.normal(size=(4, 28, 28, 1)), [0, 1, 2, 3], epochs=1, verbose=0)
    assert np.array_equal(model.get_layer("output").codes.numpy(), digit_codes())
    model.get_layer("output").trainable = True
    assert sum(v.size for v in model.trainable_weights) == 60_840


def test_it_learns_and_goes_on_from_a_file(tmp_path):
    (x, y), _ = gt.datasets.mnist_sample.load_data()
    x, y = x[:96, ..., None] / 255 * 1.275 - 0.1, y[:96]  # white is -0.1, black 1.175
    gt.utils.set_random_seed(0)
    model = gt.models.LeNet5(original=True)
    model.compile(gt.optimizers.Adam(2e-3), RBFPenalty(), metrics=["accuracy"])
    model.fit(x, y, batch_size=8, epochs=6, verbose=0)
    model.save(tmp_path / "net")
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.6
    again = gt.load_model(tmp_path / "net")
    assert again.evaluate(x, y, verbose=0) == pytest.approx([loss, accuracy], rel=1e-5)
    again.fit(x, y, batch_size=8, epochs=1, verbose=0)
    assert again.evaluate(x, y, verbose=0)[0] < loss * 1.5


def test_targets_are_digits():
    model = gt.models.LeNet5(original=True, classes=5)
    model.compile("sgd", RBFPenalty())
    with pytest.raises(ValueError, match="from 0 to 4"):
        model.fit(np.zeros((2, 28, 28, 1)), [0, 7], verbose=0)


def test_a_saved_net_loads_in_a_process_that_has_not_seen_the_zoo(tmp_path):
    path = tmp_path / "original.npz"
    gt.models.LeNet5(original=True).save(path)
    code = f"import gradtape as gt; print(gt.load_model({str(path)!r}).count_params())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "60840", run.stderr


def test_its_analysis_counts_what_the_paper_counts() -> None:
    found = gt.analysis(gt.models.LeNet5((32, 32, 1), original=True))
    sizes = {"C1": 5, "S2": 6, "C3": 14, "S4": 16, "C5": 32}
    for name, size in sizes.items():
        assert found[name].receptive_field.size == (size, size)
    # Connections of section II-B without those of the biases: 151,600 of C3 with 1,600.
    assert found["C3"].multiply_adds == 150_000
    assert found["S2"].multiply_adds == 14 * 14 * 6
    assert found["C3"].output_shape == (None, 10, 10, 16)
