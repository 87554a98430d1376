"""`Variable`: a tensor with a name that stays while batches come and go: a parameter or a state."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..config.naming import unique_name
from .tensor import Tensor, as_tensor


class Variable(Tensor):
    """A parameter (trainable) or a state (not trainable) of a layer or an optimizer.

    Args:
        initial: the values; copied, with dtypes as for `Tensor`.
        dtype: the dtype to convert to.
        trainable: whether an optimizer should update it. `requires_grad` always says the same.
        name: its own name, as in ``"kernel"``.
        path: its name within the model, as in ``"lenet5/conv2d/kernel"``. Default: `name`.

    Attributes:
        regularizer: a function of this variable whose value belongs to the loss, or None.
        constraint: a function of this variable to what it becomes after each step of an optimizer,
            or None.

    Raises:
        TypeError: trainable, but of integers or bools.
    """

    __slots__ = ("_learnable", "constraint", "name", "path", "regularizer")

    def __init__(
        self,
        initial: Any,
        dtype: Any = None,
        *,
        trainable: bool = True,
        name: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(initial, dtype)
        self._describe(trainable, name, path)

    @classmethod
    def around(
        cls, array: np.ndarray, *, trainable: bool = True, name: str, path: str | None = None
    ) -> Variable:
        """A variable that owns `array` itself instead of a copy."""
        variable = cls.__new__(cls)
        variable._set(as_tensor(array).data)
        variable._describe(trainable, name, path)
        return variable

    def _describe(self, trainable: bool, name: str | None, path: str | None) -> None:
        self.name = name or unique_name("variable")
        self.path = path or self.name
        self.regularizer: Any = None
        self.constraint: Any = None
        if trainable and self.dtype.kind != "f":
            raise TypeError(
                f"Variable {self.path!r} cannot be trainable with dtype {self.dtype}: only floats "
                "have a gradient. Pass trainable=False, or dtype='float32'."
            )
        self._learnable = trainable
        self.requires_grad = trainable

    @property
    def trainable(self) -> bool:
        """Whether gradients reach this variable; never if made with ``trainable=False``."""
        return self.requires_grad

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value and not self._learnable:
            raise ValueError(
                f"Variable {self.path!r} is a state: it was made with trainable=False and cannot "
                "be trained."
            )
        self.requires_grad = bool(value)
        if not value:
            self.grad = None

    def freeze(self, frozen: bool) -> None:
        """Switch training off or, for a parameter, on again (what ``layer.trainable`` does)."""
        self.trainable = self._learnable and not frozen

    def numpy(self) -> np.ndarray:
        """A copy of the values, which later steps do not change; `data` is the array itself."""
        return self.data.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return super().__array__(dtype, True if copy is None else copy)

    def __repr__(self) -> str:
        kind = "" if self.trainable else ", trainable=False"
        return f"<Variable {self.path}, shape={self.shape}, dtype={self.dtype}{kind}>"

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.data.flags.writeable:  # as of weights that wait for those of a file
            self.data = self.data.copy()
        super().__setitem__(index, value)

    def __copy__(self) -> Variable:
        return copy.deepcopy(self)

    def _written_in_place(self) -> bool:
        return True

    def assign(self, value: Any) -> None:
        """Overwrite the values in place, outside the tape.

        Raises:
            ValueError: the shapes differ.
        """
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(
                f"Variable {self.path!r} has shape {self.shape}, received values of shape "
                f"{array.shape}."
            )
        self[...] = array

    def assign_add(self, value: Any) -> None:
        """Add to the values in place, outside the tape."""
        self[...] = self.data + (value.data if isinstance(value, Tensor) else value)

    def assign_sub(self, value: Any) -> None:
        """Subtract from the values in place, outside the tape."""
        self[...] = self.data - (value.data if isinstance(value, Tensor) else value)
