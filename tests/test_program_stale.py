"""Code of users in programs: whatever it reads, each batch sees it as it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import OPS
from gradtape.program import native

Array = np.ndarray
L, ops = gt.layers, gt.ops
pytestmark = pytest.mark.filterwarnings("ignore:The loss does not depend on")
SHAPE = (6, 5, 4)
SETTINGS = {"slope": 0.3}


class Uses(L.Layer):
    """A layer that calls a function, and owns a few things (or nothing, if `bare`)."""

    def __init__(self, function: Callable[..., Any], bare: bool = False) -> None:
        super().__init__()
        self.function = function
        self.calls, self.factor = 0, 1.5
        if bare:
            return
        self._private = [1.0]
        self.held: Any = None
        self.conv = L.Conv2D(4, 3, padding="same")
        self.act = L.Activation("relu")
        self.norm = L.BatchNormalization()

    def build(self, input_shape: Any) -> None:
        if not hasattr(self, "conv"):
            return
        self.w = self.add_weight((input_shape[-1],), "ones")
        self.conv.build(input_shape)
        self.norm.build(input_shape)

    def call(self, x: Any, training: bool = False) -> Any:
        self.calls += 1
        return self.function(self, x)


def net(function: Callable[..., Any], bare: bool = False) -> Any:
    gt.utils.set_random_seed(1)
    SETTINGS["slope"] = 0.3
    layers = [L.Conv2D(4, 3, padding="same"), Uses(function, bare), L.Flatten(), L.Dense(3)]
    return gt.Sequential([gt.Input(SHAPE), *layers])


def logits() -> Any:
    return gt.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(count: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *SHAPE)).astype("f"), rng.integers(0, 3, count)


def nothing(layer: Uses, step: int) -> None:
    pass


def assert_sees(
    function: Callable[..., Any],
    change: Callable[[Uses, int], None] = nothing,
    sizes: tuple[int, ...] = (17, 17, 3, 1, 32, 17),
    why: str | None = None,
) -> Any:
    """Assert that batches with changes between them go as they do eagerly; the native model.

    Args:
        function: what the layer computes.
        change: called after each batch.
        sizes: of the batches.
        why: the layer is an island, and this is said of it.
    """
    models, found = [], ([], [])  # type: tuple[list[Any], tuple[list[Array], list[Array]]]
    for results in found:
        models.append(model := net(function))
        if results is found[1]:
            model._native = False
        model.compile(gt.optimizers.SGD(0.02, momentum=0.5), logits())
        for step, count in enumerate(sizes):
            x, y = data(count, step)
            results += [model.train_on_batch(x, y), model.test_on_batch(x, y)]
            results.append(model.predict(x, verbose=0))
            change(model.layers[1], step)
        results += model.get_weights()
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=3e-4, atol=3e-4)
    assert models[0]._native.reason is None
    text: list[str] = []
    models[0].explain(text.append)
    assert (why or "A training step runs natively.") in text[0]
    return models[0]


def _set_global(layer: Uses, step: int) -> None:
    SETTINGS["slope"] = 0.3 + 0.2 * (step % 2)


def _set_private(layer: Uses, step: int) -> None:
    layer._private[0] = 1.0 + step % 2


def _set_factor(layer: Uses, step: int) -> None:
    layer.factor = 1.0 + step % 3


def _exchange(layer: Uses, step: int) -> None:
    new = L.Conv2D(4, 3, padding="same", activation="tanh", kernel_initializer="ones")
    new.build((None, *SHAPE))
    if step == 0:
        layer.conv = new
    elif step == 1:
        layer.act = L.Activation("tanh")
    elif step == 2:
        layer.conv.activation = gt.activations.sigmoid
    elif step == 3:
        layer.norm.trainable = False
    elif step == 4:
        layer.norm.epsilon = 0.5


def _freeze(layer: Uses, step: int) -> None:
    layer.trainable = not layer.trainable


def _call(layer: Uses, step: int) -> None:
    if step == 1:
        layer.call = lambda x, training=False: 2.0 * x  # type: ignore[method-assign]
    elif step == 3:
        del layer.call


def _weights(layer: Uses, step: int) -> None:
    layer.w.assign(np.full(4, 1.0 + step % 2))
    if step == 2:
        layer.conv.kernel = gt.Variable(layer.conv.kernel.numpy() * 2, name="kernel")


def _times(layer: Uses, x: Any) -> Any:
    return x * layer.factor


def _block(layer: Uses, x: Any) -> Any:
    return x + layer.norm(layer.act(layer.conv(x))) * layer.w


CHANGES: dict[str, tuple[Callable[..., Any], Callable[[Uses, int], None]]] = {
    "a global": (lambda s, x: x * SETTINGS["slope"], _set_global),
    "a private attribute": (lambda s, x: x * s._private[0], _set_private),
    "an attribute": (lambda s, x: x * s.factor, _set_factor),
    "layers": (_block, _exchange),
    "trainable": (_block, _freeze),
    "call": (_block, _call),
    "weights": (_block, _weights),
    "length of the batch": (lambda s, x: x / x.shape[0] + len(x), nothing),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_code_of_users_reads_counts_in_the_next_batch(what: str) -> None:
    assert_sees(*CHANGES[what])


def test_a_class_that_is_patched_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(_block)
    x, _ = data(9, 0)
    before = model.predict(x, verbose=0)
    monkeypatch.setattr(Uses, "call", lambda self, x, training=False: 3.0 * x)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x).numpy(), atol=1e-4)
    monkeypatch.undo()
    np.testing.assert_allclose(model.predict(x, verbose=0), before, atol=1e-6)


@gt.op(gradients=[lambda g, out, x: g * ops.where(x > 0, 1.0, SETTINGS["slope"])])
def leaky_of_settings(x: Array, /) -> Array:
    return np.where(x > 0, x, SETTINGS["slope"] * x)


del OPS["leaky_of_settings"]  # other tests are about every op that is registered


def test_what_the_forward_and_the_rule_of_an_op_read_counts() -> None:
    assert_sees(lambda s, x: leaky_of_settings(x), _set_global, (17,) * 5)


def test_a_call_counts_once_in_a_batch_wherever_it_runs() -> None:
    def looks(layer: Uses, x: Any) -> Any:
        return x * float(np.isfinite(x.numpy()).all())

    for function, bare in ((_block, False), (looks, True), (looks, False)):
        model = net(function, bare)
        model.compile("sgd", logits())
        layer = model.layers[1]
        layer.calls = 0
        for step in range(4):
            model.train_on_batch(*data(9, step))
            model.test_on_batch(*data(9, step))
            assert layer.calls == 2 * (step + 1)


class Tower(gt.Model):
    """A model that looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.dense, self.calls = L.Flatten(), L.Dense(3), 0

    def call(self, x: Any) -> Any:
        self.calls += 1
        x = self.dense(self.flatten(x))
        return x * float(np.isfinite(x.numpy()).all())


def test_a_model_that_no_trace_can_follow_runs_once_in_a_batch() -> None:
    model = Tower()
    model.build((None, *SHAPE))
    model.compile("sgd", logits())
    before = model.calls
    for step in range(8):
        model.train_on_batch(*data(9, step))
        assert model.calls == before + step + 1
        assert "numpy" in model._native.reason


@pytest.mark.parametrize("kinds", [2, 40])
def test_what_python_draws_is_never_frozen(kinds: int) -> None:
    draws: list[int] = []
    rng = random.Random(3)

    def drawn(layer: Uses, x: Any) -> Any:
        draws.append(rng.randrange(kinds))
        return x * (1.0 + draws[-1])

    model = net(drawn, bare=True)
    model.compile(gt.optimizers.SGD(0.0), logits())
    x, y = data(9, 0)
    for _ in range(20):
        got = model.train_on_batch(x, y)
        layers = model.layers
        values = layers[3](layers[2](layers[0](x) * (1.0 + draws[-1])))
        assert got == pytest.approx(float(logits()(y, values)), rel=1e-4)
    assert model._native.reason is None
    assert len(model._native._steps) < 9  # after some the layer is left to the tape


def test_a_layer_that_raises_raises_once_and_unchanged() -> None:
    class Mine(Exception):
        pass

    def raises(layer: Uses, x: Any) -> Any:
        if layer.factor == 0:
            raise Mine("no")
        return x * layer.factor

    model = net(raises)
    model.compile("sgd", logits())
    x, y = data(9, 0)
    model.train_on_batch(x, y)
    layer = model.layers[1]
    layer.factor, layer.calls = 0.0, 0
    with pytest.raises(Mine, match=r"^no$") as caught:
        model.train_on_batch(x, y)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    layer.factor = 1.0
    model.train_on_batch(x, y)
    assert model._native.reason is None


def _catches(layer: Uses, x: Any) -> Any:
    try:
        return x * 2 if float(x.numpy().mean()) > 0 else x
    except BaseException:
        return x * 0


def _remembers(layer: Uses, x: Any) -> Any:
    before, layer.held = layer.held, x
    return x if before is None or before.shape != x.shape else x * 2 + before.detach()


#: What no trace can follow, and what is said of it.
LOOKS: dict[str, tuple[Callable[..., Any], str]] = {
    "caught": (_catches, "uses 'numpy'"),
    "asked": (lambda s, x: x * (2 if hasattr(x, "numpy") else 0), "uses 'numpy'"),
    "shown": (lambda s, x: x * (2 if "[" in f"{x}" else 0), "looks at the values"),
    "kept": (_remembers, "keeps a tensor as 'held'"),
    "taped": (lambda s, x: x * (2 if x.requires_grad else 3), "uses 'requires_grad'"),
    "mixed": (lambda s, x: x - ops.mean(x, axis=0), "mixes the samples"),
    "weights": (lambda s, x: x * s.w.detach() + s.w, "values of its weights"),
}


@pytest.mark.parametrize("what", LOOKS)
def test_code_that_looks_at_values_is_left_to_the_tape(what: str) -> None:
    function, why = LOOKS[what]
    assert_sees(lambda s, x: function(s, x) + _block(s, x), why=why)


def _no_grad(layer: Uses, x: Any) -> Any:
    with gt.no_grad():
        gate = ops.mean(x * layer.w, axis=(1, 2), keepdims=True) + layer.conv(x)
    return x * layer.w * gate


#: What goes natively, and is easily done wrong.
FOLLOWED: dict[str, Callable[..., Any]] = {
    "no_grad": _no_grad,
    "detach": lambda s, x: x * ops.tanh(x).detach(),
    "stop_gradient": lambda s, x: x * gt.stop_gradient(ops.tanh(x)) * s.w,
    "isinstance": lambda s, x: x * 2 if isinstance(x, gt.Tensor) else x * 0,
    "mean of truths": lambda s, x: x * ops.mean(x > 0, axis=-1, keepdims=True),
    "sum of truths": lambda s, x: x * ops.sum(x > 0, axis=(1, 2), keepdims=True),
    "truths joined": lambda s, x: x * (ops.concatenate([x > 0, x < 1], axis=1)[:, :6] + (x > 2)),
    "truths read twice": lambda s, x: (lambda m: ops.where(m, x, 0.1 * x) + m * 2 * s.w)(x > 0),
    "truths reshaped": lambda s, x: ops.where(
        ops.reshape(x > 0, (len(x), -1)), ops.reshape(x, (len(x), -1)), 0.5
    ),
    "signs of zero": lambda s, x: 1 / (x * 0.0 + np.inf) + ops.where(x > 0, -0.0, 0.0) + x,
    "np.float64": lambda s, x: x * np.float64(0.3) + np.float64(1),
    "tied": lambda s, x: (x * s.w + s.w) * s.w,
    "changed in place": lambda s, x: ops.tanh(_in_place(x)) + x,
}


def _in_place(x: Any) -> Any:
    y = x
    y += 1.0
    return y


@pytest.mark.parametrize("what", FOLLOWED)
def test_code_is_followed_to_the_letter(what: str) -> None:
    assert_sees(FOLLOWED[what])


def test_a_layer_that_is_patched_later_is_traced_anew_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = [L.Conv2D(4, 3, padding="same"), L.LeakyReLU(), L.Flatten(), L.Dense(3)]
    model = gt.Sequential([gt.Input(SHAPE), *layers])
    model.compile("sgd", logits())
    model.train_on_batch(*data(9, 0))
    layers[1].call = lambda x: x * 2
    made, usual = [], native.finished
    monkeypatch.setattr(native, "finished", lambda trace: made.append(trace) or usual(trace))
    for step in range(5):
        model.train_on_batch(*data(9, step))
    assert len(made) == 1


class Tamed(L.Layer):
    """With a penalty on what it returns."""

    def call(self, x: Any) -> Any:
        return ops.tanh(x) * x


def test_a_penalty_on_outputs_counts_once_and_as_it_is() -> None:
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(1)
        layers = [Tamed(activity_regularizer=gt.regularizers.L2(0.1)), Uses(_times, bare=True)]
        models.append(gt.Sequential([gt.Input(SHAPE), *layers, L.Flatten(), L.Dense(3)]))
        models[-1].compile("sgd", logits())
    models[1]._native = False
    for step in range(8):
        got, expected = (model.train_on_batch(*data(9, step)) for model in models)
        assert got == pytest.approx(expected, rel=1e-4)
        for model in models:
            if step > 2:
                model.layers[1].factor += 0.5
            if step == 5:
                model.layers[0].activity_regularizer.l2 = 0.3
    assert models[0]._native.reason is None


class Eased(gt.losses.Loss):
    """A loss whose factor changes."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.calls = 1.0, 0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.calls += 1
        return ops.mean((y_true - y_pred) ** 2, axis=-1) * self.factor


def test_a_loss_that_changes_in_each_batch_is_seen_and_soon_no_program_is_made_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, usual = [], native.Native._make
    monkeypatch.setattr(
        native.Native, "_make", staticmethod(lambda *args: made.append(0) or usual(*args))
    )
    models = [net(lambda s, x: x * 2) for _ in range(2)]
    models[1]._native = False
    for model in models:
        model.compile(gt.optimizers.SGD(0.02), Eased())
    for step in range(12):
        x, _ = data(9, step)
        results = []
        for model in models:
            loss = model._scores.loss
            loss.factor, loss.calls = 1.0 + 0.1 * step, 0
            results.append(model.train_on_batch(x, x[:, 0, 0, :3]))
            assert model is models[1] or step == 0 or loss.calls <= 2
        assert results[0] == pytest.approx(results[1], rel=1e-4)
    assert models[0]._native.reason is None
    assert models[0]._scores.loss.calls == 1 and len(made) < 8


def test_a_loss_that_keeps_a_tensor_keeps_one_with_values() -> None:
    class Keeps(Eased):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            self.last = super().call(y_true, y_pred)
            return self.last

    model = net(lambda s, x: x * 2, bare=True)
    model.compile("sgd", Keeps())
    x, _ = data(9, 0)
    loss = model.train_on_batch(x, x[:, 0, 0, :3])
    assert model._native.reason is None
    assert model._scores.loss.last.numpy().mean() == pytest.approx(loss, rel=1e-5)


def test_a_placeholder_that_was_kept_elsewhere_says_so() -> None:
    kept = []
    model = net(lambda s, x: (kept.append(x), x * 2)[1], bare=True)
    model.compile("sgd", logits())
    model.train_on_batch(*data(9, 0))
    for use in (lambda x: x.numpy(), lambda x: x * 2, float):
        with pytest.raises(Exception, match="run_eagerly=True"):
            use(kept[-1])


def test_empty_lanes_of_a_batch_do_no_harm() -> None:
    """Where a batch is no multiple of the lanes, what has no value in 0 is not taken of it."""

    def positive(y_true: Any, y_pred: Any) -> Any:
        return ops.mean((y_pred / y_true - ops.log(y_true)) ** 2 / ops.sqrt(y_true), axis=-1)

    models = [net(lambda s, x: ops.log(x * x + 0.1) / ops.sqrt(abs(x) + 0.1)) for _ in range(2)]
    models[1]._native = False
    for model in models:
        model.compile(gt.optimizers.SGD(0.001), positive)
    for step, count in enumerate((1, 3, 17, 31)):
        x, _ = data(count, step)
        y = np.random.default_rng(step).uniform(0.5, 1, (count, 3)).astype("f")
        got, expected = (model.train_on_batch(x, y) for model in models)
        assert np.isfinite(got) and got == pytest.approx(expected, rel=1e-4)
    assert models[0]._native.reason is None
    assert all(np.isfinite(w).all() for w in models[0].get_weights())
