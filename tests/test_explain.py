"""`Model.explain` says what runs natively and why the rest does not, before any data has come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.__main__ import main
from gradtape.program import enabled

L = gt.layers
pytestmark = pytest.mark.skipif(not enabled(), reason="programs are turned off")


def _lines(model: Any) -> list[str]:
    told: list[str] = []
    model.explain(told.append)
    return told[0].splitlines()


def _model(*layers: Any, loss: Any = "mse", optimizer: Any = "sgd") -> Any:
    model = gt.Sequential([gt.Input((5,)), *layers])
    model.compile(optimizer, loss)
    return model


def test_a_covered_model_is_native_from_layers_to_optimizer() -> None:
    *lines, verdict = _lines(_model(L.Dense(4, activation="relu"), L.Dense(3)))
    assert len(lines) == 4 and all(line.endswith("native") for line in lines)
    assert verdict == "A training step runs natively."


class Odd(L.Dense):
    """Looks at values, as no program can."""

    def call(self, inputs):
        return super().call(inputs) * float(np.sign(inputs.data.sum()) ** 2)


class Own(L.Dense):
    """A layer of one's own that is made of ops."""

    def call(self, inputs):
        return super().call(inputs) * gt.ops.sigmoid(inputs[:, :1])


class OwnLoss(gt.losses.Loss):
    def call(self, y_true, y_pred):
        return gt.ops.mean(gt.ops.square(y_pred - y_true), axis=-1)


class LookingLoss(gt.losses.Loss):
    def call(self, y_true, y_pred):
        return gt.ops.mean(gt.ops.square(y_pred - float(y_true.data.mean())), axis=-1)


PARTLY = "A training step runs natively, but for what is said above."


def test_a_layer_of_the_users_runs_on_the_tape() -> None:
    lines = _lines(_model(Odd(4), L.Dense(3)))
    assert "runs on the tape: it uses 'data' of a tensor" in lines[0]
    assert lines[1].endswith("native") and lines[-1] == PARTLY
    lines = _lines(_model(Odd(4), Odd(4), L.Dense(3)))
    assert "too little is native" in "".join(lines)
    assert lines[-1] == "A training step runs eagerly."


def test_a_layer_of_the_users_that_is_made_of_ops_is_native() -> None:
    *lines, verdict = _lines(_model(Own(4), L.Dense(3), loss=OwnLoss()))
    assert "matmul, add, getitem, sigmoid, multiply" in lines[0]
    assert all(line.endswith("native") for line in lines)
    assert verdict == "A training step runs natively."


def test_loss_regularizer_and_optimizer_are_named() -> None:
    lines = _lines(_model(L.Dense(3), loss="mae"))
    assert lines[1].endswith("native") and lines[-1].endswith("natively.")
    lines = _lines(_model(L.Dense(3), loss=LookingLoss()))
    assert "eager, the rest native: the loss LookingLoss has no lowering" in lines[1]
    assert lines[-1] == PARTLY
    odd = gt.losses.CategoricalCrossentropy(axis=0)
    assert "moves the batch axis" in _lines(_model(L.Dense(3), loss=odd))[1]
    lines = _lines(_model(L.Dense(3, kernel_regularizer=gt.regularizers.L2(0.1))))
    assert all(line.endswith("native") for line in lines[:-1])
    lines = _lines(_model(L.Dense(3, kernel_regularizer=lambda v: (v * v).sum())))
    assert "but for its regularizer" in lines[2] and "natively, but for" in lines[-1]

    class Own(gt.optimizers.SGD):
        pass

    class Centred(gt.optimizers.SGD):
        def update(self, weights: Any, gradient: Any, *others: Any) -> None:
            super().update(weights, gradient - np.mean(gradient), *others)

    lines = _lines(_model(L.Dense(3), optimizer=Own(0.1)))
    assert lines[2].endswith("native") and lines[-1].endswith("natively.")
    lines = _lines(_model(L.Dense(3), optimizer=Centred(0.1)))
    assert "moved in NumPy" in lines[2] and "natively, but for" in lines[-1]


@pytest.mark.parametrize("loss", ["mse", OwnLoss()], ids=["known", "own"])
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_explained_is_what_happens(loss: Any, scaled: bool) -> None:
    model = _model(L.Dense(3), *([L.Lambda(lambda x: x * 2)] if scaled else []), loss=loss)
    verdict = _lines(model)[-1]
    x, y = np.ones((8, 5), np.float32), np.ones((8, 3), np.float32)
    model.fit(x, y, verbose=0)
    assert (model._native.reason is None) == (not verdict.endswith("eagerly."))


def test_a_model_that_has_no_shape_yet_is_refused() -> None:
    with pytest.raises(ValueError, match="not been built"):
        gt.Sequential([L.Dense(3)]).explain()


def test_first_look_at_data_runs_natively_where_it_can() -> None:
    model = _model(L.Dense(3))
    assert model._answer(np.ones((2, 5), np.float32)).shape == (2, 3)
    assert model._native.last is not None


def test_warmup_says_how_many_kernels_are_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradtape import program

    monkeypatch.setattr(program, "warmup", lambda each, optimizers: each(program.warmup) or 7)
    program.warmup.name = "a kernel"  # type: ignore[attr-defined]
    single = []
    monkeypatch.setattr(program, "warmup_eager", lambda: single.append(True))
    assert main(["warmup"]) == 0 and single
    said = capsys.readouterr().out
    assert "a kernel" in said and "7 kernels of programs and those of single ops are ready" in said
