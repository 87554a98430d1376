"""Tracebacks end where the user's code does; a switch shows the rest."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

X, Y = np.ones((8, 4), np.float32), np.ones((8, 1), np.float32)
PACKAGE = str(Path(gt.__file__).parent)


def model(*layers: Any, loss: Any = "mse", **settings: Any) -> Any:
    net = gt.Sequential([gt.Input((4,)), *layers, gt.layers.Dense(1)])
    net.compile("sgd", loss, **settings)
    return net


def frames(error: BaseException) -> list[str]:
    """The functions in a traceback, from the outermost, and in those of its causes."""
    named = []
    link: BaseException | None = error
    while link is not None:
        for entry in traceback.extract_tb(link.__traceback__):
            inside = entry.filename.startswith(PACKAGE)
            named.append(f"{'gradtape.' if inside else ''}{entry.name}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return named


def raised(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def own_loss(y_true: Any, y_pred: Any) -> Any:
    raise RuntimeError("own")


class Failing(gt.layers.Layer):
    """Raises once data comes."""

    def call(self, x: Any) -> Any:
        if self.built and x.shape[0] == 8:
            raise RuntimeError("own")
        return x


class Watcher(gt.callbacks.Callback):
    """Raises when told of a batch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        raise KeyboardInterrupt


REFUSED: dict[str, Callable[[], Any]] = {
    "fit": lambda: model().fit(X[:, :3], Y, verbose=0),
    "fit, a setting": lambda: model().fit(X, Y, epochs="many"),
    "evaluate": lambda: model().evaluate(X, Y[:3], verbose=0),
    "predict": lambda: model().predict(X[:, :3], verbose=0),
    "train_on_batch": lambda: model().train_on_batch(X),
    "compile": lambda: model(loss="nothing"),
    "call of a model": lambda: model()(X[:, :3]),
    "call of a layer": lambda: gt.layers.Dense(3)(X[0]),
    "symbolic call": lambda: gt.layers.Conv2D(3, 3)(gt.Input((4,))),
    "constructor": lambda: gt.layers.Dense(-1),
    "constructor of a loss": lambda: gt.losses.Huber(-1),
    "loss": lambda: gt.losses.MeanSquaredError()(X, Y[:3]),
    "metric": lambda: gt.metrics.R2Score()(X[0], X[0]),
    "set_weights": lambda: model().set_weights(None),
    "get_layer": lambda: model().get_layer("nothing"),
    "save": lambda: model().save(None),
    "load_model": lambda: gt.load_model(5),  # type: ignore[arg-type]
    "op": lambda: gt.ops.matmul(X, X),
    "op of a symbolic tensor": lambda: gt.ops.matmul(gt.Input((4,)), X),
    "backward": lambda: gt.tensor(X, requires_grad=True).backward(),
    "grad": lambda: gt.grad(lambda v: v)(X),
    "jacobian": lambda: gt.jacobian(lambda v: v, argnums=3)(X),
    "utils": lambda: gt.utils.to_categorical(["a"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_so_at_the_line_of_the_user(what: str) -> None:
    found = frames(raised(REFUSED[what]))
    assert not [name for name in found if name.startswith("gradtape.")]
    assert found[0] == "raised" and found[1] == "<lambda>"


OWN: dict[str, tuple[Callable[[bool], Any], str]] = {
    "loss": (
        lambda eager: model(loss=own_loss, run_eagerly=eager).fit(X, Y, verbose=0),
        "own_loss",
    ),
    "layer": (lambda eager: model(Failing(), run_eagerly=eager).fit(X, Y, verbose=0), "call"),
    "layer alone": (lambda eager: Failing()(X) + Failing()(X), "call"),
    "callback": (
        lambda eager: model(run_eagerly=eager).fit(X, Y, verbose=0, callbacks=Watcher()),
        "on_train_batch_end",
    ),
    "function": (lambda eager: gt.grad(lambda x: own_loss(x, x))(1.0), "own_loss"),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("what", OWN)
def test_the_code_of_the_user_stays_in_sight(what: str, eager: bool) -> None:
    function, own = OWN[what]
    found = frames(raised(lambda: function(eager)))
    assert not [name for name in found if name.startswith("gradtape.")]
    assert found[-1] == own


@pytest.fixture
def unfiltered() -> Iterator[None]:
    gt.config.disable_traceback_filtering()
    yield
    gt.config.enable_traceback_filtering()


def test_a_switch_shows_every_frame(unfiltered: None) -> None:
    assert not gt.config.is_traceback_filtering_enabled()
    error = raised(REFUSED["fit"])
    assert len([name for name in frames(error) if name.startswith("gradtape.")]) > 5
    assert isinstance(error, ValueError)


def test_frames_are_left_out_by_default() -> None:
    assert gt.config.is_traceback_filtering_enabled()


def test_a_cause_with_the_users_code_is_kept_and_one_without_is_not() -> None:
    error = raised(lambda: gt.ops.add(X, np.ones((3, 3))))
    assert "broadcast" in str(error)  # which NumPy said
    assert error.__cause__ is None and error.__suppress_context__

    def chained() -> None:
        try:
            raise KeyError("mine")
        except KeyError:
            model().get_layer("nothing")

    assert isinstance(raised(chained).__context__, KeyError)


def test_warnings_point_at_the_line_of_the_user() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model().fit(X, np.full_like(Y, np.inf), verbose=0)
    assert seen and {Path(w.filename).name for w in seen} == {Path(__file__).name}
