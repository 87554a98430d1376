"""An op is data: forward on arrays, gradient rule in ops, and samples that prove it.

One registration holds all three:

    @op(
        gradients=(lambda g, out, x: g * out,),
        samples=unary(),
        numpy=np.exp,
    )
    def exp(x: np.ndarray, /) -> np.ndarray:
        '''e to the power x.'''
        return np.exp(x)

makes ``exp`` a differentiable function of tensors, answers for ``np.exp`` on a tensor, and puts it
before the gradient checks. Positional-only parameters are arrays, all others are settings.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from ..config.tracebacks import filtered, shorten
from ..errors import NoTensorError, ShapeError
from ..samples import Samples, no_samples
from .anomaly import check_forward, users_line
from .numpy_protocol import Names, NumpyFunction, NumpyUfunc
from .operators import ToCome, deferred
from .promotion import as_tensors, in_one_kind
from .tape import NUMPY, OPS, Memory, Node, grad_mode
from .tensor import DEFAULT_FLOAT, Tensor, wrap
from .tree import rebuilt

#: ``rule(gradient, output, *inputs, **settings)``: the gradient for one input; None for zero.
Rule = Callable[..., Any]
#: The NumPy function, or functions, that an op answers for, with what they call its settings.
Twins = Callable[..., Any] | tuple[Callable[..., Any], ...] | dict[Callable[..., Any], Names] | None
_F64 = np.dtype(np.float64)


class Op:
    """A differentiable function of tensors, made by `op`. Call it on tensors, arrays or numbers."""

    #: Set by `checkpoint`: makes the output again, taped, from the inputs and settings.
    recompute: Callable[..., Tensor] | None = None

    def __init__(
        self,
        forward: Callable[..., Any],
        gradients: Iterable[Rule | None] | Rule,
        samples: Samples,
        resolve: Callable[..., dict[str, Any]] | None,
        broadcasts: bool,
        linear: bool,
        integers: bool,
    ) -> None:
        update_wrapper(self, forward)
        self.name = self.__name__ = forward.__name__
        self.forward = forward
        self.samples = samples
        self.resolve = resolve
        self.broadcasts = broadcasts
        self.linear = linear
        self.integers = integers
        parameters = inspect.signature(forward).parameters.values()
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.arity = sum(p.kind is p.POSITIONAL_ONLY for p in parameters)
        settings = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.setting_names = [p.name for p in settings]
        self.defaults = {p.name: p.default for p in settings if p.default is not p.empty}
        self.rule_of_any: Rule | None = gradients if callable(gradients) else None
        if inspect.isgeneratorfunction(gradients):
            self.rule_of_any = _InTurn(gradients)
        self.gradients: tuple[Rule | None, ...] = () if callable(gradients) else tuple(gradients)
        self.differentiable = callable(gradients) or any(self.gradients)
        self._reals = tuple(i for i, rule in enumerate(self.gradients) if rule is not None)
        self._validate()

    def _validate(self) -> None:
        if not callable(self.samples):
            raise TypeError(
                f"Op {self.name!r} needs samples: a function of a random generator. Leave the "
                "argument out for an op that is to be tried only."
            )
        if self.variadic:
            if self.rule_of_any is None and self.differentiable:
                raise TypeError(
                    f"Op {self.name!r} takes any number of arrays: give one rule "
                    "(i, gradient, output, *inputs, **settings) for all of them."
                )
        elif self.rule_of_any is not None or len(self.gradients) != self.arity:
            raise TypeError(
                f"Op {self.name!r} takes {self.arity} arrays (its positional-only parameters) and "
                f"needs as many gradient rules, None where there is none; received "
                f"{len(self.gradients)}."
            )
        if not all(r is None or callable(r) for r in self.gradients):
            raise TypeError(f"Every gradient rule of op {self.name!r} must be callable or None.")

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])  # by reference, as functions are pickled and copied

    def pull_back(
        self,
        wanted: Sequence[bool],
        gradient: Tensor,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        settings: dict[str, Any],
    ) -> Iterator[tuple[int, Any]]:
        """What the rules make of the gradient of the output, for each input that is wanted."""
        if isinstance(self.rule_of_any, _InTurn):
            parts = self.rule_of_any.rule(gradient, output, *inputs, **settings)
            yield from ((i, part) for i, part in enumerate(parts) if wanted[i])
            return
        for i, wants in enumerate(wanted):
            if wants:
                yield i, self.gradient(i, gradient, output, inputs, settings)

    def gradient(
        self,
        i: int,
        gradient: Tensor,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        settings: dict[str, Any],
    ) -> Any:
        """The gradient for input i, given that of the output. Every argument is a tensor."""
        if self.rule_of_any is not None:
            return self.rule_of_any(i, gradient, output, *inputs, **settings)
        rule = self.gradients[i]
        return rule(gradient, output, *inputs, **settings) if rule is not None else None

    def __call__(self, *args: Any, **settings: Any) -> Tensor:
        try:
            try:
                inputs, settings = self.bind(args, settings)
                symbolic = None
            except ToCome as found:
                symbolic = found.tensor
            if symbolic is not None:
                return symbolic.defer(self, args, settings)
            taped = False
            if self.differentiable:
                if grad_mode.use is not None:
                    grad_mode.use.see(inputs)
                if grad_mode.enabled:
                    for t in inputs:
                        if t.requires_grad:
                            taped = True
                            break
            if taped:
                for t in inputs:
                    if t._memory.borrowed:
                        t._own()
            arrays = [t.data for t in inputs]
            try:
                out = np.asarray(self.forward(*arrays, **settings))
            except (ValueError, TypeError, IndexError, OverflowError) as error:
                if isinstance(error, ShapeError):
                    raise
                shapes = ", ".join(str(a.shape) for a in arrays)
                kinds = (k for k in (TypeError, IndexError) if isinstance(error, k))
                raise next(kinds, ValueError)(
                    f"{self.name}: {error} (received shapes {shapes})"
                ) from error
            wide = out.dtype == _F64 and "dtype" not in settings
            if wide and _F64 not in [a.dtype for a in arrays]:
                out = out.astype(DEFAULT_FLOAT)  # integers never turn float32 into float64
            if grad_mode.anomaly:
                check_forward(self.name, arrays, settings, out)
            result = wrap(out, _shared(out, inputs))
            if taped and out.dtype.kind == "f":
                self.record(result, inputs, settings)
            return result
        except BaseException as error:
            shorten(error)
            raise

    def record(self, result: Tensor, inputs: tuple[Tensor, ...], settings: dict[str, Any]) -> None:
        """Put `result` on the tape as made by this op."""
        settings = {name: _kept(value) for name, value in settings.items()}
        result._node = node = Node(self, inputs, settings, result)
        result.requires_grad = True
        if grad_mode.anomaly:
            node.source = users_line()

    def bind(
        self, args: tuple[Any, ...], settings: dict[str, Any]
    ) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
        """Arrays as tensors, and every setting with its default, resolved and checked."""
        if self.variadic:
            if args and isinstance(args[0], (list, tuple)):
                args, extra = tuple(args[0]), args[1:]
            else:
                extra = ()
        else:
            args, extra = args[: self.arity], args[self.arity :]
            if len(args) < self.arity:
                raise TypeError(f"{self.name} takes {self.arity} arrays, received {len(args)}.")
        inputs = self._tensors(args)
        settings = self.settled(extra, settings)
        if self.resolve is not None:
            settings = self.resolve(*inputs, **settings)
        return inputs, settings

    def settled(self, extra: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
        """Every setting by its name, with its default: before `resolve`.

        Args:
            extra: those given by position.
            settings: those given by keyword.
        """
        if extra or not settings.keys() <= set(self.setting_names):
            settings = self._named(extra, settings)
        return {**self.defaults, **settings}

    def _tensors(self, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """The arrays as tensors, in the dtypes that `promotion` says."""
        if not all([isinstance(a, Tensor) for a in args]):
            args = as_tensors(self.name, args, compares=not self.differentiable)
        reals = range(len(args)) if self.rule_of_any is not None else self._reals
        for i in reals:
            if args[i].data.dtype.kind != "f":
                return in_one_kind(self.name, args, reals, self.integers)
        return args

    def _named(self, extra: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
        """Settings given by position joined to those given by keyword."""
        for name in settings:
            if name not in self.setting_names:
                raise TypeError(
                    f"{self.name} has no setting {name!r}; it takes "
                    f"{', '.join(self.setting_names) or 'none'}."
                )
        if len(extra) > len(self.setting_names):
            raise TypeError(
                f"{self.name} takes {self.arity} arrays and the settings "
                f"{self.setting_names}, received {len(extra)} positional settings."
            )
        return dict(zip(self.setting_names, extra, strict=False)) | settings


def _shared(out: np.ndarray, inputs: tuple[Tensor, ...]) -> Memory | None:
    """The memory of the input that `out` is a view of, if it is one."""
    for t in inputs:
        if out is t.data or (out.base is not None and np.may_share_memory(out, t.data)):
            return t._memory
    return None


def _kept(setting: Any) -> Any:
    """A setting as the tape keeps it: arrays and lists may be written to by whoever gave them."""
    if isinstance(setting, np.ndarray):
        return setting.copy()
    if isinstance(setting, (list, tuple, dict)):
        items = setting.values() if isinstance(setting, dict) else setting
        return rebuilt(setting, [_kept(item) for item in items])
    return setting


class _InTurn:
    """A rule that yields the gradients for all arrays, as the rule for the one at a position."""

    def __init__(self, rule: Callable[..., Iterator[Any]]) -> None:
        self.rule = rule

    def __call__(self, i: int, *arguments: Any, **settings: Any) -> Any:
        return next(itertools.islice(self.rule(*arguments, **settings), i, None))


class Whole:
    """A function of tensors, made of ops, that a program takes as one op.

    It is none of the registry: it may read or write variables, or draw, and then its values depend
    on more than its arguments, so that no difference quotient could prove it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.name = self.__name__ = function.__name__
        self.function = function

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])  # by reference, as functions are pickled and copied

    def __call__(self, *args: Any, **settings: Any) -> Any:
        symbolic = deferred(args)
        if symbolic is not None:
            return symbolic.defer(self, args, settings)
        return self.function(*args, **settings)


class Composite(Whole):
    """A public differentiable function written in ops: no rule of its own, but the same proof."""

    broadcasts = linear = False
    differentiable = True

    def __init__(self, function: Callable[..., Tensor], samples: Samples) -> None:
        super().__init__(function)
        self.samples = samples

    @filtered
    def __call__(self, *args: Any, **settings: Any) -> Tensor:
        try:
            return super().__call__(*args, **settings)
        except NoTensorError as error:
            raise TypeError(f"{self.name}: {error}") from None


def op(
    *,
    gradients: Iterable[Rule | None] | Rule,
    samples: Samples = no_samples,
    resolve: Callable[..., dict[str, Any]] | None = None,
    broadcasts: bool = False,
    linear: bool = False,
    integers: bool = False,
    numpy: Twins = None,
) -> Callable[[Callable[..., Any]], Op]:
    """Register a function of arrays as a differentiable op of the same name.

    Args:
        gradients: one rule per array, ``(gradient, output, *inputs, **settings)`` to the gradient
            for that array, written in ops so that it can itself be differentiated; None for an
            array without a gradient (labels, indices). An op of ``*arrays`` gives a single rule
            whose first argument is the array's position; or, where there may be thousands, a
            generator without that argument that yields all gradients in order.
        samples: a function of a random generator to the `Sample` calls that the checks run. An op
            without is to be tried only: `gradcheck` checks it where it is called, and the proof of
            all ops fails for it.
        resolve: ``(*inputs, **settings)`` to the canonical settings; where bad input is refused.
        broadcasts: the forward broadcasts its arrays; the engine sums the gradients back.
        linear: linear in each array while the others stay; differences of any step are then exact.
        integers: of integers the result is an integer, as in NumPy; without it the forward never
            sees any: they are floats by then (see `promotion`).
        numpy: the NumPy function, or functions, that call this op when given a tensor; as a dict
            ``{function: {parameter: setting}}`` where NumPy calls a setting otherwise.

    Raises:
        TypeError: rules are missing, or their number does not fit the arrays.
        ValueError: the name is taken.
    """

    def register(forward: Callable[..., Any]) -> Op:
        made = Op(forward, gradients, samples, resolve, broadcasts, linear, integers)
        _enter(made, numpy)
        return made

    return register


def composite(
    *, samples: Samples = no_samples, numpy: Twins = None
) -> Callable[[Callable[..., Tensor]], Composite]:
    """Register a function of tensors, written in ops, so that the gradient checks cover it too."""

    def register(function: Callable[..., Tensor]) -> Composite:
        made = Composite(function, samples)
        _enter(made, numpy)
        return made

    return register


def _enter(made: Any, numpy: Twins) -> None:
    if made.name in OPS:
        raise ValueError(f"An op named {made.name!r} is already registered.")
    OPS[made.name] = made
    if numpy is not None:
        several = numpy if isinstance(numpy, (dict, tuple)) else (numpy,)
        answers({f: {} for f in several} | (numpy if isinstance(numpy, dict) else {}))(made)


def answers(functions: dict[Callable[..., Any], Names]) -> Callable[[Any], Any]:
    """Let a function of tensors answer for functions of NumPy, as `op` does with ``numpy=``."""

    def register(made: Any) -> Any:
        for function, names in functions.items():
            kind = NumpyUfunc if isinstance(function, np.ufunc) else NumpyFunction
            NUMPY[function] = kind(function, made, names)
        return made

    return register
