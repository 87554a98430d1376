"""Losses from functions: any function of two tensors, or one of the package with its class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor, as_tensor
from ..config.serialization import lookup, register
from ..config.signatures import bind, constructor, hints_of
from .base import Array, Loss, Shape, array_of, floating, match_ranks
from .checks import Check

Function = Callable[..., Tensor]
#: Which values count, from targets, values and the settings of the loss; None: all of them.
Mask = Callable[[Tensor, Tensor, dict[str, Any]], "Array | None"]
COMMON = ("reduction", "name", "dtype")


class Form(NamedTuple):
    """What a loss function of the package is made of."""

    values: Function  # the arithmetic, on tensors that were checked
    check: Check
    takes_labels: bool  # targets are class numbers rather than floats like the predictions
    settings: dict[str, inspect.Parameter]
    mask: Mask | None
    prepare: Callable[[Array], Array] | None

    def targets(self, y_true: Any, dtype: Any) -> Tensor:
        if self.takes_labels:
            return as_tensor(array_of(y_true).astype(np.intp, copy=False))
        made = as_tensor(y_true, dtype)
        return made if self.prepare is None else as_tensor(self.prepare(made.data))

    def matched(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        return (y_true, y_pred) if self.takes_labels else match_ranks(y_true, y_pred)


#: The form of each loss function.
FORMS: dict[Any, Form] = {}


def loss_function(
    check: Check,
    takes_labels: bool = False,
    mask: Mask | None = None,
    prepare: Callable[[Array], Array] | None = None,
) -> Callable[[Function], Function]:
    """Decorator: make a public loss function of its arithmetic, for arrays and with a check.

    Args:
        check: refuses targets that cannot be meant.
        takes_labels: targets are class numbers.
        mask: says which values count, when they are reduced.
        prepare: what becomes of the targets first.
    """

    def enter(values: Function) -> Function:
        signature = inspect.signature(values)
        _, _, *settings = signature.parameters.values()
        form = Form(values, check, takes_labels, {p.name: p for p in settings}, mask, prepare)

        defaults = {name: p.default for name, p in form.settings.items()}
        required = {name for name, value in defaults.items() if value is inspect.Parameter.empty}
        who = values.__name__

        @wraps(values)
        def function(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Tensor:
            if args or not required <= kwargs.keys() <= defaults.keys():
                chosen = bind(who, signature, (y_true, y_pred, *args), kwargs)
                del chosen["y_true"], chosen["y_pred"]
            else:  # as usual, and faster
                chosen = {**defaults, **kwargs}
            y_pred = floating(y_pred)
            check(who, array_of(y_true), y_pred.shape, "y_pred", chosen)
            y_true = form.targets(y_true, y_pred.dtype)
            return values(*form.matched(y_true, y_pred), **chosen)

        FORMS[function] = form
        return register("losses")(function)

    return enter


@register("losses")
class LossFunctionWrapper(Loss):
    """A loss from a function ``fn(y_true, y_pred, **kwargs)`` of tensors to values of samples."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), reduction, dtype)
        self.fn = fn
        self._arguments = kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = match_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._arguments)

    def mask(self, y_true: Tensor, values: Tensor) -> Array | None:
        form = FORMS.get(getattr(self, "function", self.fn))
        return form.mask(y_true, values, self._arguments) if form and form.mask else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": self.fn, **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        fn = config.get("fn")
        if isinstance(fn, str):
            config = {**config, "fn": lookup(fn, "loss", "losses")}
        return cls(**config)


class FunctionLoss(LossFunctionWrapper):
    """Base of the losses that have a function of the package, with its settings as arguments.

    A subclass says which: ``class Huber(FunctionLoss, of=huber)``. Its arguments are the settings
    of that function (attributes of the loss) and those of `Loss`.
    """

    function: ClassVar[Any]
    _settings: ClassVar[tuple[str, ...]]
    get_config = Loss.get_config

    if TYPE_CHECKING:  # each class has its own, with the arguments by name

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init_subclass__(
        cls,
        of: Function | None = None,
        arguments: tuple[str, ...] = (),
        called: str | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        """Give a class the constructor that its function implies.

        Args:
            of: the function; None: that of the base class.
            arguments: of the constructor, in order. Default: settings, then those of `Loss`.
            called: the default name. Default: the function's.
            defaults: of settings, where they are not those of the function.
        """
        super().__init_subclass__()
        if of is None:
            return
        settings = FORMS[of].settings
        values: dict[str, Any] = {name: p.default for name, p in settings.items()}
        values |= {"reduction": "sum_over_batch_size", "name": called or of.__name__}
        values |= {"dtype": None, **(defaults or {})}

        def fill(self: FunctionLoss, given: dict[str, Any]) -> None:
            common = {name: given.pop(name) for name in COMMON}
            Loss.__init__(self, **common)
            self.__dict__.update(given)

        given = arguments or (*settings, *COMMON)
        cls._settings = tuple(name for name in given if name not in COMMON)
        cls.__init__ = constructor(  # type: ignore[method-assign]
            given, values, fill, lambda: {**hints_of(of), "name": str | None}
        )
        cls.function, cls.fn = staticmethod(of), staticmethod(FORMS[of].values)
        cls.takes_labels = FORMS[of].takes_labels

    @property
    def _arguments(self) -> dict[str, Any]:  # type: ignore[override]
        """The settings as they are now: an attribute that was set counts, here and in programs."""
        return {name: getattr(self, name) for name in self._settings}

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = FORMS[self.function].matched(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._arguments)

    def check(self, y_true: Any, shape: Shape, output: str = "the predictions") -> None:
        form, who = FORMS[self.function], type(self).__name__
        form.check(who, array_of(y_true), shape, output, self._arguments)

    def _targets(self, y_true: Any, dtype: Any) -> Tensor:
        return FORMS[self.function].targets(y_true, dtype)
