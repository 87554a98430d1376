"""What every optimizer takes: averages, accumulated gradients, spared variables, scaled losses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray


def variables() -> list[gt.Variable]:
    rng = np.random.default_rng(1)
    shapes: list[tuple[int, ...]] = [(3, 4), (4,), ()]
    return [gt.Variable(rng.normal(size=s), name=f"v{i}") for i, s in enumerate(shapes)]


def gradients(steps: int) -> Iterator[list[Array]]:
    rng = np.random.default_rng(2)
    for _ in range(steps):
        yield [rng.normal(size=v.shape) for v in variables()]


def test_an_average_follows_the_parameters_and_replaces_them_when_asked() -> None:
    v = gt.Variable(np.array([1.0, 2.0]), name="v")
    optimizer = gt.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    expected = None
    for _ in range(5):
        optimizer.apply([np.array([0.1, -0.2])], [v])
        expected = v.data.copy() if expected is None else 0.75 * expected + 0.25 * v.data
        np.testing.assert_allclose(optimizer.average_of(v), expected, rtol=1e-6)
    assert not np.allclose(v.data, expected)
    optimizer.finalize_variable_values([v])
    np.testing.assert_allclose(v.data, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"no average of 'w': it was not built"):
        optimizer.finalize_variable_values([gt.Variable(1.0, name="w")])
    with pytest.raises(ValueError, match="use_ema is False"):
        gt.optimizers.SGD().average_of(v)


def test_an_average_overwrites_the_parameters_every_so_many_steps() -> None:
    v = gt.Variable(np.array([0.0]), name="v")
    given = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    optimizer = gt.optimizers.SGD(1.0, **given)  # type: ignore[arg-type]
    seen = []
    for _ in range(4):
        optimizer.apply([np.array([-1.0])], [v])
        seen.append(float(v.data[0]))
    assert seen == [1.0, 1.5, 2.5, 2.75]  # (1 + 2) / 2, then (1.5 / 2 + 2.5 / 2 + 3.5) / 2


def test_gradients_accumulate_to_the_step_of_their_mean() -> None:
    vs, ws = variables(), variables()
    many = gt.optimizers.Adam(0.1, gradient_accumulation_steps=3)
    once = gt.optimizers.Adam(0.1)
    all_gradients = list(gradients(steps=9))
    for t in range(0, 9, 3):
        before = [v.data.copy() for v in vs]
        for gs in all_gradients[t : t + 3]:
            for v, values in zip(vs, before, strict=True):
                np.testing.assert_array_equal(v.data, values)
            many.apply(gs, vs)
        once.apply([sum(g) / 3 for g in zip(*all_gradients[t : t + 3], strict=True)], ws)
        for v, w in zip(vs, ws, strict=True):
            np.testing.assert_allclose(v.data, w.data, rtol=1e-5, atol=1e-6)
    assert many.iterations == once.iterations == 3


def test_weight_decay_spares_what_is_excluded() -> None:
    kernel, bias, other = (gt.Variable(np.ones(3), name=n) for n in ("kernel", "bias", "other"))
    optimizer = gt.optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([other], ["bi.s"])
    optimizer.apply([np.zeros(3)] * 3, [kernel, bias, other])
    assert [v.data[0] for v in (kernel, bias, other)] == [0.75, 1.0, 1.0]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay([kernel])


def test_a_scaled_loss_gives_the_same_step() -> None:
    v, w = (gt.Variable(np.array([2.0, 3.0]), name="v") for _ in range(2))
    plain, scaled = gt.optimizers.SGD(0.1), gt.optimizers.SGD(0.1, loss_scale_factor=64.0)
    for optimizer, variable in ((plain, v), (scaled, w)):
        loss = (variable * variable).sum()
        optimizer.scale_loss(loss).backward()
        optimizer.apply([variable.grad], [variable])
    np.testing.assert_allclose(v.data, w.data)


def test_a_learning_rate_may_be_a_function() -> None:
    rates = iter([0.5, 0.25])
    v = gt.Variable(np.array([1.0]), name="v")
    optimizer = gt.optimizers.SGD(lambda: next(rates))
    for _ in range(2):
        optimizer.apply([np.ones(1)], [v])
    assert v.data[0] == 0.25
    fixed = gt.optimizers.SGD(lambda: 0.5)
    fixed.build([v])
    fixed.set_state(gt.optimizers.SGD(0.1).get_state())
    assert fixed.learning_rate == 0.5


def test_mixed_dtypes_are_restored_in_their_order() -> None:
    def make() -> list[gt.Variable]:
        return [gt.Variable(np.ones(2, d), name=d) for d in ("float32", "float64", "float32")]

    vs, ws = make(), make()
    optimizer, again = gt.optimizers.SGD(0.1, momentum=0.9), gt.optimizers.SGD(0.1, momentum=0.9)
    optimizer.apply([np.full(2, float(i)) for i in range(3)], vs)
    again.build(ws)
    again.set_state(optimizer.get_state())
    for number, (a, b) in enumerate(zip(optimizer.get_state(), again.get_state(), strict=True)):
        assert a == b, number
    for key, values in optimizer.get_state().items():
        np.testing.assert_array_equal(values, again.get_state()[key])


@pytest.mark.parametrize("name", gt.optimizers.__all__)
def test_every_optimizer_survives_its_configuration(name: str) -> None:
    cls = getattr(gt.optimizers, name)
    if not isinstance(cls, type) or name == "Optimizer":
        return
    optimizer = cls(0.3, use_ema=True, gradient_accumulation_steps=4, clipnorm=2.0)
    config = optimizer.get_config()
    assert gt.optimizers.deserialize(gt.optimizers.serialize(optimizer)).get_config() == config
    assert type(gt.optimizers.get(name.lower())) is cls
    assert config["use_ema"] and config["gradient_accumulation_steps"] == 4
