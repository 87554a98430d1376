"""`GradientTape`: gradients in the manner of Keras's guides to training loops of one's own."""

from __future__ import annotations

from typing import Any

from .backward import run_backward
from .tape import enable_grad
from .tensor import Tensor
from .tree import is_structure


class GradientTape:
    """The gradients of what is computed inside a ``with`` block.

        with gt.GradientTape() as tape:
            loss = model.compute_loss(y=y, y_pred=model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)

    gradtape records every computation on variables anyway, so the block only makes sure that this
    is not switched off; `gradtape.grad` and ``loss.backward()`` do the same without it.

    Args:
        persistent: whether `gradient` may be asked more than once.
    """

    def __init__(self, persistent: bool = False) -> None:
        self.persistent = persistent
        self._recording: Any = None

    def __enter__(self) -> GradientTape:
        self._recording = enable_grad()
        self._recording.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._recording.__exit__(*error)

    def watch(self, tensor: Tensor) -> None:
        """Let a tensor that is no variable have gradients."""
        tensor.requires_grad = True

    def gradient(self, target: Tensor, sources: Any) -> Any:
        """The derivative of a tensor (of the sum of its elements, as in TensorFlow).

        Args:
            target: what was computed.
            sources: a variable or watched tensor; or a list or dict of them.

        Returns:
            For each source a tensor of its shape, or None if the target does not depend on it; in
            the structure of `sources`.

        Raises:
            RuntimeError: the gradient was already taken, and the tape is not `persistent`.
        """
        several = is_structure(sources) or (isinstance(sources, (list, tuple)) and not sources)
        if isinstance(sources, dict):
            wanted = list(sources.values())
        else:
            wanted = list(sources) if several else [sources]
        whole = target.sum() if target.ndim else target
        found = run_backward([whole], [None], wanted, retain_graph=self.persistent)
        if isinstance(sources, dict):
            return dict(zip(sources, found, strict=True))
        return found if several else found[0]
