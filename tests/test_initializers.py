"""Initializers: distributions against the formulas, Keras's names, seeds, configurations."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import gradtape as gt
from gradtape import initializers

SHAPE = (3, 3, 40, 70)  # a convolution kernel
FAN_IN, FAN_OUT = 9 * 40, 9 * 70

# name, variance, bound: uniform within sqrt(3 var); truncated within 2 standard deviations of a
# normal distribution that is wider than what is left of it.
_WIDER = 1 / 0.87962566103423978
SCALED = [
    ("GlorotUniform", 2 / (FAN_IN + FAN_OUT), math.sqrt(3)),
    ("GlorotNormal", 2 / (FAN_IN + FAN_OUT), 2 * _WIDER),
    ("HeUniform", 2 / FAN_IN, math.sqrt(3)),
    ("HeNormal", 2 / FAN_IN, 2 * _WIDER),
    ("LecunUniform", 1 / FAN_IN, math.sqrt(3)),
    ("LecunNormal", 1 / FAN_IN, 2 * _WIDER),
    ("VarianceScaling", 1 / FAN_IN, 2 * _WIDER),
]
RANDOM = ["RandomNormal", "RandomUniform", "TruncatedNormal", *(name for name, *_ in SCALED)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "variance", "bound"), SCALED)
def test_variance_is_scaled_by_the_fans(name, variance, bound, dtype):
    values = getattr(initializers, name)(seed=1)(SHAPE, dtype)
    assert values.shape == SHAPE
    assert values.dtype == dtype
    error = 5 / math.sqrt(values.size)  # of a mean in standard deviations, five times over
    assert abs(values.mean()) < error * math.sqrt(variance)
    assert values.var() == pytest.approx(variance, rel=3 * error)
    largest = np.abs(values).max() / math.sqrt(variance)
    assert 0.98 * bound < largest <= bound * (1 + 1e-6)


def test_the_truncated_standard_deviation_is_that_of_the_formula():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    inside = math.erf(math.sqrt(2))
    assert math.sqrt(1 - 4 * density / inside) == pytest.approx(1 / _WIDER, rel=1e-12)


def test_plain_distributions_have_keras_defaults():
    shape = (400, 500)
    normal = initializers.RandomNormal(seed=1)(shape)
    uniform = initializers.RandomUniform(seed=1)(shape)
    truncated = initializers.TruncatedNormal(seed=1)(shape)
    assert normal.std() == pytest.approx(0.05, rel=0.01)
    assert np.abs(normal).max() > 0.15
    assert uniform.min() >= -0.05
    assert uniform.max() <= 0.05
    assert uniform.std() == pytest.approx(0.1 / math.sqrt(12), rel=0.01)
    assert 0.099 < np.abs(truncated).max() <= 0.1
    assert truncated.std() == pytest.approx(0.05 / _WIDER, rel=0.01)


def test_mean_and_bounds_are_shifted():
    assert initializers.RandomNormal(3.0, 0.1, seed=1)((999,)).mean() == pytest.approx(3, rel=0.01)
    assert initializers.TruncatedNormal(3.0, 0.1, seed=1)((999,)).min() >= 2.8
    shifted = initializers.RandomUniform(2.0, 4.0, seed=1)((999,))
    assert shifted.min() >= 2
    assert shifted.max() <= 4


def test_constants():
    assert initializers.Zeros()((2, 3)).tolist() == [[0, 0, 0]] * 2
    assert initializers.Ones()((3,), "float64").dtype == np.float64
    assert initializers.Constant(2.5)((2,)).tolist() == [2.5, 2.5]
    assert initializers.Constant([1, 2])((2, 2)).tolist() == [[1, 2], [1, 2]]


def test_modes_and_distributions_of_variance_scaling():
    shape = (200, 300)
    out = initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=1)(shape)
    assert out.var() == pytest.approx(2 / 300, rel=0.02)
    long = initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal", seed=1)(shape)
    assert long.var() == pytest.approx(1 / 250, rel=0.03)
    assert np.abs(long).max() > 3 * math.sqrt(1 / 250)


def test_identity_is_a_matrix_of_ones_on_the_diagonal():
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    assert initializers.get("identity")((2, 2), "float64").dtype == np.float64
    with pytest.raises(ValueError, match=r"shape of 2 axes, received \(3,\)"):
        initializers.Identity()((3,))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 3, 2, 5), (2, 2, 40)], ids=str)
def test_orthogonal_has_unit_rows_or_columns_at_right_angles(shape):
    values = initializers.Orthogonal(gain=2.0, seed=1)(shape)
    assert values.dtype == np.float32
    matrix = values.reshape(-1, shape[-1])
    small = matrix @ matrix.T if len(matrix) < shape[-1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=2e-6)
    with pytest.raises(ValueError, match="2 axes or more"):
        initializers.Orthogonal()((3,))


def test_orthogonal_matrices_are_as_likely_as_their_mirror_images():
    signs = [np.sign(initializers.Orthogonal(seed=i)((3, 3)).diagonal()) for i in range(400)]
    assert np.abs(np.mean(signs, axis=0)).max() < 0.2  # 4 standard deviations


def test_fans_may_be_other_axes():
    shape = (4, 50, 8, 60)
    values = initializers.HeNormal(1, input_axes=[0, 1], output_axes=[2, 3])(shape)
    assert values.var() == pytest.approx(2 / 200, rel=0.05)
    assert initializers.compute_fans(shape, [0, 1], [2, 3]) == (200, 480)
    with pytest.raises(ValueError, match="together"):
        initializers.VarianceScaling(input_axes=[0])


@pytest.mark.parametrize(
    "arguments", [{"scale": 0}, {"scale": -1.0}, {"mode": "fan"}, {"distribution": "cauchy"}]
)
def test_variance_scaling_refuses_what_it_does_not_know(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        initializers.VarianceScaling(**arguments)


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((4, 3, 5), (12, 20)), (SHAPE, (360, 630))],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_repeats_bit_for_bit_and_another_does_not(name):
    make = getattr(initializers, name)
    first = make(seed=3)
    assert np.array_equal(first((9, 5)), first((9, 5)))
    assert np.array_equal(first((9, 5)), make(seed=3)((9, 5)))
    assert not np.array_equal(first((9, 5)), make(seed=4)((9, 5)))


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_seed_each_one_is_a_stream_of_the_global_seed(name):
    def two() -> list[np.ndarray]:
        gt.random.set_seed(5)
        make = getattr(initializers, name)
        return [make()((9, 5)), make()((9, 5))]

    (a, b), (again_a, again_b) = two(), two()
    assert np.array_equal(a, again_a)
    assert np.array_equal(b, again_b)
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("name", RANDOM)
def test_scalars_can_be_drawn(name):
    value = getattr(initializers, name)(seed=1)(())
    assert np.shape(value) == ()
    assert np.isfinite(value)


@pytest.mark.parametrize("name", [*RANDOM, "Zeros", "Ones", "Constant", "Identity", "Orthogonal"])
def test_every_spelling_and_the_configuration_give_the_same(name):
    cls = getattr(initializers, name)
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    arguments = {"seed": 3} if name in (*RANDOM, "Orthogonal") else {}
    original = cls(**arguments)
    config = json.loads(json.dumps(gt.saving.serialize(original)))
    assert config["class_name"] == f"initializers>{name}"
    bare = {"class_name": name, "config": arguments}
    for identifier in (original, config, bare):
        assert np.array_equal(initializers.get(identifier)((4, 3)), original((4, 3)))
    for identifier in (name, snake, cls):
        assert type(initializers.get(identifier)) is cls


def test_get_takes_a_function_and_none():
    def twos(shape, dtype):
        return np.full(shape, 2, dtype)

    assert initializers.get(twos) is twos
    assert initializers.get(None) is None
    layer = gt.layers.Dense(3, kernel_initializer=twos)
    layer.build((None, 2))
    assert layer.kernel.tolist() == [[2, 2, 2]] * 2


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"Unknown initializer 'glorot_unifrom'.*'glorot_uniform'"):
        initializers.get("glorot_unifrom")
    with pytest.raises(ValueError, match=r"received 3"):
        initializers.get(3)
    with pytest.raises(ValueError, match=r"Unknown initializer 'Foo'"):
        initializers.get({"class_name": "Foo", "config": {}})
    with pytest.raises(ValueError, match=r"HeNormal cannot be made from its configuration"):
        initializers.get({"class_name": "HeNormal", "config": {"sead": 1}})


def test_an_initializer_of_the_wrong_shape_is_named():
    layer = gt.layers.Dense(3, kernel_initializer=lambda shape, dtype: np.zeros((1, 1)), name="d")
    with pytest.raises(ValueError, match=r"'d/kernel' returned shape \(1, 1\), expected \(2, 3\)"):
        layer.build((None, 2))
