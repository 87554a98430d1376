"""`GradientTape`: gradients in the manner of Keras's guides to training loops of one's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import ShapeError
from .backward import depends_on_others, run_backward
from .tape import OPS, grad_enabled, grad_mode, next_serial
from .tensor import Tensor, wrap
from .tree import is_container, tree_leaves, tree_map
from .variable import Variable


class _Active(threading.local):
    """The tapes that are recording in this thread, the innermost last."""

    def __init__(self) -> None:
        self.tapes: list[GradientTape] = []


_active = _Active()


class GradientTape:
    """The gradients of what is computed inside a ``with`` block.

        with gt.GradientTape() as tape:
            loss = model.compute_loss(y=y, y_pred=model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)

    Variables are watched by themselves, other tensors by `watch`. Gradients have gradients, too:
    by everything if they are asked for while a tape records, this one or one around it, else by
    everything but the leaves among the sources (nobody asks that of a training step, and it costs).
    `gradtape.grad` and ``loss.backward()`` do the same without a tape.

    Args:
        persistent: whether gradients may be asked for more than once.
        watch_accessed_variables: whether variables are watched by themselves.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self.persistent = bool(persistent)
        self._every_variable = bool(watch_accessed_variables)
        self._watched: dict[Tensor, bool] = {}  # and whether they required a gradient before
        self._since = 0  # the serial number from which on ops count
        self._pauses: list[tuple[int, int]] = []  # serial numbers between which they do not
        self._shared = False  # with a tape around or inside this one: the graph is not ours to free
        self._used = False
        self._recording: grad_enabled | None = None

    def __enter__(self) -> GradientTape:
        if self._recording is not None:
            raise ValueError("This tape is recording already: it cannot be entered twice.")
        if self._used and not self.persistent:
            raise RuntimeError(
                "This tape has given its gradients. Make a new one, or pass persistent=True."
            )
        for tape in _active.tapes:
            tape._shared = self._shared = True
        _active.tapes.append(self)
        self._since = self._since or next_serial()
        self._recording = grad_enabled(True)
        self._recording.__enter__()
        grad_mode.differentiating += 1
        for tensor in self._watched:
            tensor.requires_grad = True
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._recording is not None
        grad_mode.differentiating -= 1
        self._recording.__exit__(*error)
        self._recording = None
        _active.tapes.remove(self)
        for tensor, before in self._watched.items():
            if not any(tensor in tape._watched for tape in _active.tapes):
                tensor.requires_grad = before

    def watch(self, tensor: Any) -> None:
        """Let tensors that are no variables have gradients, until the block ends.

        Args:
            tensor: a tensor, or a nested list, tuple or dict of them.

        Raises:
            TypeError: something else, or a tensor of integers or bools.
        """
        for t in tree_leaves(tensor, is_container):
            if not isinstance(t, Tensor) or t.dtype.kind != "f":
                what = f"dtype {t.dtype}" if isinstance(t, Tensor) else type(t).__name__
                raise TypeError(
                    f"GradientTape.watch expected a tensor of floats, received {what}. "
                    "Convert it first: gt.tensor(x, dtype='float32')."
                )
            self._watched.setdefault(t, t.requires_grad)
            if self._recording is not None:
                t.requires_grad = True

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that were passed to `watch`."""
        return tuple(t for t in self._watched if isinstance(t, Variable))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """What is computed inside is constant to the tape; `gradient` may be called there."""
        if self._recording is None:
            raise ValueError("stop_recording() belongs inside the tape's own with block.")
        start = next_serial()
        grad_mode.differentiating -= 1
        try:
            with grad_enabled(bool(grad_mode.differentiating)):  # others go on recording
                yield
        finally:
            grad_mode.differentiating += 1
            self._pauses.append((start, next_serial()))

    def _counts(self, serial: int) -> bool:
        return serial >= self._since and not any(a < serial < b for a, b in self._pauses)

    def reset(self) -> None:
        """Forget all that was recorded, as if the block began here."""
        self._since = next_serial()
        self._used = False

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """The derivative of what was computed (of the sum of its elements, as in TensorFlow).

        Args:
            target: a tensor, or a nested list, tuple or dict of them, whose gradients add up.
            sources: a variable or watched tensor; or a nested list, tuple or dict of them.
            output_gradients: weights of the elements of `target`, in its structure; default: ones.
            unconnected_gradients: ``"none"`` or ``"zero"``: what stands for the gradient of a
                source that the target does not depend on.

        Returns:
            For each source a tensor of its shape, in the structure of `sources`.

        Raises:
            RuntimeError: gradients were already taken, and the tape is not `persistent`.
            TypeError: a target or source that is no tensor.
        """
        zero = _zero(unconnected_gradients)
        outputs = _tensors("target", target)
        wanted = _tensors("source", sources)
        found = self._pull_back(outputs, _cotangents(outputs, output_gradients), wanted)
        following = iter(
            wrap(np.zeros(s.shape, s.dtype)) if g is None and zero else g
            for s, g in zip(wanted, found, strict=True)
        )
        return tree_map(lambda _: next(following), sources, is_container)

    def jacobian(
        self,
        target: Tensor,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivative of every element of a tensor.

        Args:
            target: a tensor of shape ``t``.
            sources: as for `gradient`, each of shape ``s``.
            unconnected_gradients: as for `gradient`.
            parallel_iterations: without effect, as rows are computed one after the other.
            experimental_use_pfor: without effect.

        Returns:
            For each source a tensor of shape ``t + s``, in the structure of `sources`.
        """
        zero = _zero(unconnected_gradients)
        (out,) = _tensors("target", [target])
        wanted = _tensors("source", sources)
        units = np.eye(out.size, dtype=out.dtype).reshape(out.size, *out.shape)
        rows = self._rows(out, list(units), wanted)
        following = iter(
            _stacked(out.shape, [row[i] for row in rows], s, zero) for i, s in enumerate(wanted)
        )
        return tree_map(lambda _: next(following), sources, is_container)

    def batch_jacobian(
        self,
        target: Tensor,
        source: Tensor,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The Jacobian of each sample, where no sample depends on another one's source.

        Args:
            target: shape ``(N, *t)``.
            source: shape ``(N, *s)``.
            unconnected_gradients: as for `gradient`.
            parallel_iterations: without effect, as rows are computed one after the other.
            experimental_use_pfor: without effect.

        Returns:
            A tensor of shape ``(N, *t, *s)``.

        Raises:
            ShapeError: different numbers of samples, or no batch axis.
        """
        zero = _zero(unconnected_gradients)
        out, x = _tensors("target", [target])[0], _tensors("source", [source])[0]
        if not out.ndim or not x.ndim or out.shape[0] != x.shape[0]:
            raise ShapeError(
                "batch_jacobian expected a target and a source with one batch axis, received "
                f"shapes {out.shape} and {x.shape}."
            )
        per_sample = out.shape[1:]
        count = int(np.prod(per_sample))
        units = np.eye(count, dtype=out.dtype).reshape(count, 1, *per_sample)
        rows = self._rows(out, [np.broadcast_to(u, out.shape) for u in units], [x])
        found = _stacked((count,), [row[0] for row in rows], x, zero)
        if found is None:
            return None
        by_sample = OPS["moveaxis"](found, 0, 1)
        return OPS["reshape"](by_sample, (x.shape[0], *per_sample, *x.shape[1:]))

    def _rows(
        self, out: Tensor, cotangents: list[np.ndarray], sources: list[Tensor]
    ) -> list[list[Tensor | None]]:
        """A gradient for each cotangent, all of them counted as asked for once."""
        self._ask()
        return [self._gradients([out], [c], sources) for c in cotangents]

    def _pull_back(
        self, outputs: list[Tensor], cotangents: list[Any], sources: list[Tensor]
    ) -> list[Tensor | None]:
        free = self._ask()
        return self._gradients(outputs, cotangents, sources, free)

    def _ask(self) -> bool:
        """Count a request for gradients; whether it is the last one that needs the graph."""
        if self._used and not self.persistent:
            raise RuntimeError(
                "A GradientTape gives gradients once. Make it with persistent=True to ask again."
            )
        self._used = True
        return not (self.persistent or self._shared or grad_mode.differentiating)

    def _gradients(
        self,
        outputs: list[Tensor],
        cotangents: list[Any],
        sources: list[Tensor],
        free: bool = False,
    ) -> list[Tensor | None]:
        again = grad_mode.enabled and (
            bool(grad_mode.differentiating) or depends_on_others(outputs, sources, self._counts)
        )
        watched = [
            s if self._every_variable or s in self._watched or not s.is_leaf else None
            for s in sources
        ]
        found = iter(
            run_backward(
                outputs,
                cotangents,
                [s for s in watched if s is not None],
                retain_graph=again or not free,
                create_graph=again,
                counts=self._counts,
            )
        )
        return [None if s is None else next(found) for s in watched]


def _zero(unconnected_gradients: Any) -> bool:
    name = str(getattr(unconnected_gradients, "value", unconnected_gradients)).lower()
    if name not in ("none", "zero"):
        raise ValueError(
            f"unconnected_gradients must be 'none' or 'zero', received {unconnected_gradients!r}."
        )
    return name == "zero"


def _tensors(what: str, structure: Any) -> list[Tensor]:
    tensors = list(tree_leaves(structure, is_container))
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(
                f"GradientTape expected a {what} that is a tensor or a variable, received "
                f"{type(t).__name__}. Only tensors that the tape saw have gradients."
            )
    return tensors


def _cotangents(outputs: list[Tensor], given: Any) -> list[Any]:
    if given is None:
        return [np.ones(t.shape, t.dtype) for t in outputs]
    cotangents = list(tree_leaves(given, is_container)) if len(outputs) > 1 else [given]
    if isinstance(given, (list, tuple)) and len(outputs) == len(given) == 1:
        cotangents = list(given)
    if len(cotangents) != len(outputs):
        raise ValueError(
            f"output_gradients: expected {len(outputs)}, one for each target, received "
            f"{len(cotangents)}."
        )
    return cotangents


def _stacked(
    shape: tuple[int, ...], rows: list[Tensor | None], source: Tensor, zero: bool
) -> Tensor | None:
    """Rows of a Jacobian as one tensor; a row that does not depend on the source is zero."""
    if not zero and all(row is None for row in rows):
        return None
    whole = (*shape, *source.shape)
    if not rows:
        return wrap(np.zeros(whole, source.dtype))
    zeros = wrap(np.zeros(source.shape, source.dtype))
    return OPS["reshape"](OPS["stack"]([zeros if r is None else r for r in rows]), whole)
