"""`Operation`: an op of `gradtape.ops` as a layer, made when one is called on a symbolic tensor."""

from __future__ import annotations

from typing import Any

from ..autograd.operators import deferred
from ..autograd.tape import OPS, no_grad
from ..autograd.tensor import Tensor
from ..autograd.tree import tree_leaves
from ..config.serialization import register
from ..errors import unknown_name
from .base import Layer
from .symbolic import Call


@register("layers")
class Operation(Layer):
    """An op by its name. ``x + y`` and ``gt.ops.relu(x)`` on symbolic tensors make one.

    Args:
        op: the name of a registered op.

    Raises:
        ValueError: there is no op of that name.
    """

    def __init__(self, op: str, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if op not in OPS:
            raise unknown_name("op", op, OPS)
        self.op = op
        self.built = True

    def __call__(self, *args: Any, training: bool | None = None, **settings: Any) -> Any:
        """The op's result; arrays and settings as for the op itself."""
        symbolic = deferred(args)
        if symbolic is None:
            return self._compute(*args, **settings)
        return symbolic.called(self, self._compute, args, settings)

    def _compute(self, *args: Any, training: bool | None = None, **settings: Any) -> Any:
        return OPS[self.op](*args, **settings)

    def _call_symbolic(self, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        for value in tree_leaves(args):
            if isinstance(value, Tensor) and value.requires_grad:
                raise TypeError(
                    f"{self.op}: a symbolic tensor met {value!r}, which would not be trained or "
                    "saved with the model. Make a layer that owns it (add_weight), or detach() it."
                )
        call = Call(self, args, settings)
        inputs, zero_settings = call.on_zeros(lambda t: t.shape, 1)
        with no_grad():
            tried = OPS[self.op](*inputs, **zero_settings)
        self.made_by(call, next(tree_leaves(tried)).dtype.name)
        return self._record(call)

    def made_by(self, call: Call, dtype: str) -> None:
        """Take the shapes of the inputs and the dtype of the output from the only call."""
        self.dtype = dtype
        shapes = [t.shape for t in call.sources()]
        self._build_shape = shapes[0] if len(shapes) == 1 else shapes

    def tries(self, call: Call) -> bool:
        return True

    def get_config(self) -> dict[str, Any]:
        return {"op": self.op, "name": self.name}
