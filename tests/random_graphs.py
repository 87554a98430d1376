"""Random functions of one number, and every way to take a derivative of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradtape as gt

o = gt.ops
Function = Callable[[Any], gt.Tensor]

#: How a part of a graph is run: plainly or checkpointed, what it uses as arguments or by closure.
RUNS: dict[str, Callable[..., Any]] = {
    "plain": lambda part, *xs: part(*xs),
    "checkpoint": gt.checkpoint,
    "checkpoint by closure": lambda part, *xs: gt.checkpoint(lambda: part(*xs)),
    "checkpoint in checkpoint": lambda part, *xs: gt.checkpoint(
        lambda x, *rest: gt.checkpoint(part, x * 1.0, *rest), *xs
    ),
}


class RandomGraph:
    """A smooth function of one number, through tensors that are shared, viewed, added back.

    Args:
        seed: decides the graph.
        run: runs its parts, one of `RUNS`.
    """

    def __init__(self, seed: int, run: Callable[..., Any] = RUNS["plain"]) -> None:
        self.seed = seed
        self.run = run

    def __call__(self, t: Any) -> gt.Tensor:
        rng = np.random.default_rng(self.seed)
        shape = [(3,), (2, 3), (2, 2, 2)][rng.integers(3)]
        start = [o.add(rng.normal(size=shape), o.multiply(rng.normal(size=shape), t))]
        states = [start[0], o.sin(start[0])]
        for _ in range(rng.integers(1, 6)):
            steps = [
                (rng.integers(10), rng.integers(64, size=2), rng.normal(size=shape))
                for _ in range(rng.integers(1, 4))
            ]
            states = list(self.run(lambda *xs, s=steps: _part(xs, s), *states))[-3:]
        return sum((x * x).mean() for x in states)  # type: ignore[return-value]


def _part(xs: Any, steps: list) -> list[gt.Tensor]:
    states = list(xs)
    for kind, picks, constant in steps:
        x, y = (states[p % len(states)] for p in picks)
        states.append(_step(int(kind), x, y, constant))
        o.exp(x)  # dies at once, so that its place in memory is taken by others
    return states[-3:]


def _step(kind: int, x: gt.Tensor, y: gt.Tensor, c: np.ndarray) -> gt.Tensor:
    if kind == 0:
        return x + o.tanh(y)
    if kind == 1:
        return o.tanh(x * y) + x
    if kind == 2:  # slices put together the other way round
        return o.concatenate([y[1:], x[:1]], axis=0) * c
    if kind == 3:
        return o.reshape(o.sin(o.reshape(x, (-1,))), y.shape) - y * 0.3
    if kind == 4:
        return o.where(c > 0, x, o.cos(y))
    if kind == 5:
        return o.flip(x, axis=0) * o.sigmoid(y)
    if kind == 6:
        return o.divide(x, 1.5 + y * y)
    if kind == 7:
        return o.reshape(o.transpose(x).T @ np.eye(x.shape[-1]) + c, x.shape)
    if kind == 8:
        return o.stack(list(o.exp(-x * x) + y), axis=0)
    i, f = o.sigmoid(x), o.tanh(x)  # a gated cell: every tensor is used more than once
    return i * f + y * f + i


def _by_tape(phi: Function, t: Any) -> Any:
    x = gt.ops.multiply(t, 1.0)
    with gt.GradientTape() as tape:
        tape.watch(x)
        y = phi(x)
    return tape.gradient(y, x, unconnected_gradients="zero")


def _by_backward(phi: Function, t: Any) -> Any:
    x = gt.ops.multiply(t, 1.0)
    if not x.requires_grad:
        x.requires_grad = True
    x.retain_grad()
    y = phi(x)
    if not y.requires_grad:  # what is differentiated here is constant
        return gt.tensor(np.array(0.0))
    x.zero_grad()  # of what the inner derivatives left there
    y.backward(create_graph=True)
    return x.grad


#: ``(phi, t)`` to the derivative of phi at t.
BY_ARGUMENT: dict[str, Callable[[Function, Any], Any]] = {
    "grad": lambda phi, t: gt.grad(phi)(t),
    "value_and_grad": lambda phi, t: gt.value_and_grad(phi)(t)[1],
    "vjp": lambda phi, t: gt.vjp(phi, t)[1](1.0)[0],
    "jvp": lambda phi, t: gt.jvp(phi, (t,), (np.array(1.0),))[1],
    "jacobian": lambda phi, t: gt.jacobian(phi)(t),
    "tape": _by_tape,
    "backward": _by_backward,
}


def by_closure(derivative: Callable[[Function, Any], Any]) -> Callable[[Function, Any], Any]:
    """The same derivative of ``s -> phi(t + s)`` at 0, so that t comes in from outside."""
    return lambda phi, t: derivative(lambda s: phi(o.add(t, s)), np.array(0.0))


DERIVATIVES = BY_ARGUMENT | {f"{k} by closure": by_closure(d) for k, d in BY_ARGUMENT.items()}

#: Two derivatives at once.
SECOND: dict[str, Callable[[Function, Any], Any]] = {
    "hessian": lambda phi, t: gt.hessian(phi)(t),
    "hvp": lambda phi, t: gt.hvp(phi, (t,), (np.array(1.0),))[0],
}


def nested(phi: Function, names: list[str]) -> Function:
    """The derivative of a derivative, the first name innermost."""
    for name in names:
        phi = _derived(phi, (DERIVATIVES | SECOND)[name])
    return phi


def _derived(phi: Function, derivative: Callable[[Function, Any], Any]) -> Function:
    return lambda t: derivative(phi, t)
