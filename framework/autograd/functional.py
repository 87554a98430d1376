"""Functional autograd: functions in, derivative functions out, over nested structures of tensors.

Everything here is the backward pass, arranged: `vjp` pulls one cotangent back, `grad` pulls 1 back,
`jvp` pulls back twice (the pull-back is linear in its cotangent, and *its* pull-back pushes
forward), `jacobian` pulls back every unit cotangent. Names and argument orders are JAX's, and so is
what a structure is: lists, tuples and dicts, with tensors, arrays and numbers as leaves.

Results can be differentiated again, by whatever requires a gradient among the arguments and among
what the function uses from outside: so transforms nest, and within `no_grad` they are leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.tracebacks import filtered
from ..errors import ShapeError
from .backward import run_backward
from .tape import OPS, differentiating, grad_mode, next_serial, observed_use
from .tensor import Tensor, as_tensor, wrap
from .tree import is_container, tree_items, tree_leaves, tree_map

Argnums = int | tuple[int, ...]


def _leaves(structure: Any) -> list[Any]:
    """The leaves of a structure; None holds nothing."""
    return [leaf for leaf in tree_leaves(structure, is_container) if leaf is not None]


def _map(function: Callable[[Any], Any], structure: Any) -> Any:
    return tree_map(lambda leaf: leaf if leaf is None else function(leaf), structure, is_container)


def _tensors(what: str, structure: Any) -> Any:
    """The structure with every leaf a tensor, or an error that says which cannot be one."""
    for path, leaf in tree_items(structure, is_container):
        try:
            if leaf is not None:
                as_tensor(leaf)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{what}{path}: expected a tensor, an array or a number, alone or in lists, tuples "
                f"and dicts, received {type(leaf).__name__} {leaf!r:.60}."
            ) from error
    return _map(as_tensor, structure)


def _floats(structure: Any) -> list[Tensor]:
    return [t for t in _leaves(structure) if t.dtype.kind == "f"]


@dataclass
class _Evaluation:
    """What a function made of arguments that are being differentiated.

    Attributes:
        out: what it returned.
        chosen: the arguments that are differentiated, their leaves as tensors of their own.
        inputs: the floating ones among these leaves.
        tied: whether results can be differentiated again: the caller is recording, and something
            that requires a gradient was used.
        since: the serial number from which on the function was at work.
    """

    out: Any
    chosen: list[Any]
    inputs: list[Tensor]
    tied: bool
    since: int

    def results(self, out: Any) -> Any:
        """`out` as the caller gets it: no leaf of ours may hang on to it."""
        if self.tied:
            return out
        return tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, out, is_container)

    def pull_back(
        self, outputs: list[Tensor], cotangents: Sequence[Any], create_graph: bool = False
    ) -> list[Tensor]:
        """Gradients for the inputs, zeros where the outputs do not depend on one."""
        again = create_graph or (self.tied and grad_mode.enabled)
        return _gradients(outputs, cotangents, self.inputs, again, self.since)

    def like_chosen(self, leaves: Sequence[Any]) -> list[Any]:
        """The chosen arguments with these in place of the inputs, None for what is no float."""
        of = dict(zip(self.inputs, leaves, strict=True))
        return _map(of.get, self.chosen)


def _gradients(
    outputs: list[Tensor], cotangents: Sequence[Any], inputs: list[Tensor], again: bool, since: int
) -> list[Tensor]:
    found = run_backward(
        outputs, cotangents, inputs, retain_graph=True, create_graph=again, counts=since.__le__
    )
    return [
        wrap(np.zeros(x.shape, x.dtype)) if g is None else g
        for x, g in zip(inputs, found, strict=True)
    ]


def _taped(chosen: list[Any]) -> tuple[list[Any], list[Tensor]]:
    """Arguments with every floating leaf replaced by a tensor of its own, and those tensors.

    Where the caller records they stay tied to its tape.
    """
    inputs: list[Tensor] = []

    def own(tensor: Tensor) -> Tensor:
        if tensor.dtype.kind != "f":
            return tensor
        if grad_mode.enabled and tensor.requires_grad:
            tensor = OPS["copy"](tensor)
        else:
            tensor = tensor.detach()
            tensor.requires_grad = True
            if grad_mode.use is not None:
                grad_mode.use.inner.add(tensor)
        inputs.append(tensor)
        return tensor

    return [_map(own, structure) for structure in chosen], inputs


def _select(name: str, args: tuple[Any, ...], argnums: Argnums) -> list[int]:
    """The positions that `argnums` names, from the front."""
    positions = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    for i in positions:
        if isinstance(i, bool) or not isinstance(i, (int, np.integer)):
            raise TypeError(
                f"{name}: argnums is the position of an argument or a tuple of positions, "
                f"received {argnums!r}."
            )
        if not -len(args) <= i < len(args):
            raise ValueError(
                f"argnums={argnums} names argument {i}, but the function was called with "
                f"{len(args)} positional arguments."
            )
    return [int(i) % len(args) for i in positions]


def _evaluate(
    name: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Argnums,
) -> _Evaluation:
    """Call `fn` with the selected arguments taped."""
    positions = _select(name, args, argnums)
    distinct = list(dict.fromkeys(positions))
    given = [_tensors(f"{name}: argument {i}", args[i]) for i in distinct]
    recording = grad_mode.enabled
    with observed_use() as use:
        use.see(_leaves(given))
        taped, inputs = _taped(given)
        if not inputs:
            raise TypeError(
                f"argnums={argnums} selects nothing that can be differentiated: expected floating "
                "tensors, arrays or numbers (3.0, not 3), alone or in lists, tuples and dicts."
            )
        since = next_serial()
        full = list(args)
        for i, value in zip(distinct, taped, strict=True):
            full[i] = value
        with differentiating():
            out = fn(*full, **kwargs)
        use.see(t for t in _leaves(out) if isinstance(t, Tensor))
    chosen = [taped[distinct.index(i)] for i in positions]
    return _Evaluation(out, chosen, inputs, recording and bool(use.tensors), since)


def _scalar(value: Any, name: str, fn: Callable[..., Any]) -> Tensor:
    """What a differentiated function returned, if it has a gradient."""
    tensor: Tensor = _output(value, name, fn)
    if tensor.size != 1:
        raise ValueError(
            f"{name} differentiates functions that return one element; {_name(fn)} returned "
            f"shape {tensor.shape}. Reduce it with .sum() or .mean(), or use gt.jacobian."
        )
    return tensor


def _output(value: Any, name: str, fn: Callable[..., Any]) -> Tensor:
    if not isinstance(value, (Tensor, np.ndarray, np.generic, float, int)):
        raise TypeError(
            f"{name}: {_name(fn)} returned {type(value).__name__}, expected a tensor. If it "
            "returns something beside its value, pass has_aux=True."
        )
    tensor = as_tensor(value)
    if tensor.dtype.kind != "f":
        raise TypeError(
            f"{name} differentiates functions that return floats; {_name(fn)} returned dtype "
            f"{tensor.dtype}, which has no gradient."
        )
    return tensor


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", "the function")


@filtered
def value_and_grad(
    fn: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns ``(fn(...), gradient)`` of a scalar function.

    Args:
        fn: returns one element; with `has_aux`, a pair of that and anything else.
        argnums: the position of the argument to differentiate by, or several. Arguments may be
            nested lists, tuples and dicts of tensors; the gradient has the same structure.

    Raises:
        ValueError: the function returned more than one element, or `argnums` names no argument.
        TypeError: what is selected holds nothing to differentiate by, or the result is no float.
    """
    return _value_and_grad("gt.value_and_grad", fn, argnums, has_aux)


def _value_and_grad(
    name: str, fn: Callable[..., Any], argnums: Argnums, has_aux: bool
) -> Callable[..., tuple[Any, Any]]:
    @filtered
    def evaluated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        call = _evaluate(name, fn, args, kwargs, argnums)
        if has_aux and not (isinstance(call.out, (tuple, list)) and len(call.out) == 2):
            raise TypeError(
                f"{name}: with has_aux=True, {_name(fn)} must return a pair (value, aux), "
                f"received {type(call.out).__name__}."
            )
        value = _scalar(call.out[0] if has_aux else call.out, name, fn)
        found = call.like_chosen(call.pull_back([value], [None]))
        out = (value, call.out[1]) if has_aux else value
        return call.results(out), tuple(found) if isinstance(argnums, (tuple, list)) else found[0]

    return evaluated


@filtered
def grad(fn: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of a scalar function; see `value_and_grad`.

    With `has_aux`, it returns ``(gradient, aux)``. ``gt.grad(gt.grad(f))`` works to any depth.
    """
    evaluated = _value_and_grad("gt.grad", fn, argnums, has_aux)

    @filtered
    def gradient(*args: Any, **kwargs: Any) -> Any:
        out, found = evaluated(*args, **kwargs)
        return (found, out[1]) if has_aux else found

    return gradient


def _check_like(name: str, given: Any, expected: Sequence[Tensor]) -> list[Tensor]:
    """The leaves of `given`, matched in number and shape with those of `expected`."""
    leaves = _leaves(given)
    if len(leaves) != len(expected):
        raise ValueError(f"{name}: expected {len(expected)} tensors, received {len(leaves)}.")
    tensors = [as_tensor(g, e.dtype) for g, e in zip(leaves, expected, strict=True)]
    for i, (g, e) in enumerate(zip(tensors, expected, strict=True)):
        if g.shape != e.shape:
            raise ShapeError(f"{name} {i}: expected shape {e.shape}, received {g.shape}.")
    return tensors


@filtered
def vjp(fn: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """``(fn(*primals), pull_back)``: the vector-Jacobian product, as a function of the cotangent.

    ``pull_back(cotangent)`` takes the structure and shapes of the output and returns a tuple with
    a gradient per primal. It may be called any number of times.

    Raises:
        ShapeError: a cotangent of another shape than its output.
        TypeError: the function returned no float.
    """
    call = _evaluate("gt.vjp", fn, primals, {}, tuple(range(len(primals))))
    out = _tensors("gt.vjp: the output", call.out)
    outputs = _leaves(out)
    if not _floats(out):
        raise TypeError(
            f"gt.vjp pulls back through functions that return floats; {_name(fn)} returned "
            f"{', '.join(str(t.dtype) for t in outputs) or 'nothing'}."
        )

    @filtered
    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        cotangents = _check_like("cotangent", cotangent, outputs)
        again = grad_mode.enabled and any(t.requires_grad for t in cotangents)
        return tuple(call.like_chosen(call.pull_back(outputs, cotangents, again)))

    return call.results(out), pull_back


@filtered
def jvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """``(fn(*primals), tangent of the output)``: the Jacobian-vector product.

    Computed by pulling back twice: the pull-back is linear in its cotangent u, and the gradient of
    ``<pull_back(u), tangents>`` by u is the push-forward (Townsend's trick, 2017).

    Raises:
        ShapeError: a tangent of another shape than its primal.
    """
    primals, tangents = _sequence("primals", primals), _sequence("tangents", tangents)
    given = [_tensors(f"gt.jvp: argument {i}", p) for i, p in enumerate(primals)]
    moves = _check_like("tangent", tangents, _floats(given))
    call = _evaluate("gt.jvp", fn, primals, {}, tuple(range(len(primals))))
    out = _tensors("gt.jvp: the output", call.out)
    outputs = _leaves(out)
    cotangents = [wrap(np.zeros(t.shape, t.dtype)) for t in outputs]
    for u in cotangents:
        if u.dtype.kind == "f":
            u.requires_grad = True
            if grad_mode.use is not None:
                grad_mode.use.inner.add(u)
    tied = grad_mode.enabled and (call.tied or any(t.requires_grad for t in moves))
    pulled = call.pull_back(outputs, cotangents, create_graph=True)
    following = iter(_gradients(pulled, moves, cotangents, tied, call.since))
    tangent = _map(lambda _: next(following), out)
    return call.results(out), tangent


def _sequence(what: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"{what} is a list or tuple with an entry for each argument of the function, received "
            f"{type(values).__name__}: write ({what[:-1]},)."
        )
    return tuple(values)


@filtered
def jacobian(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of a function of tensors.

    For output shape ``s`` and input shape ``t`` it has shape ``s + t``. Nested outputs and inputs
    give the structure of the outputs, with the structure of the inputs in place of each leaf.
    """

    @filtered
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        call = _evaluate("gt.jacobian", fn, args, kwargs, argnums)

        def of(value: Any) -> Any:
            out = _output(value, "gt.jacobian", fn)
            units = np.eye(out.size, dtype=out.dtype).reshape(out.size, *out.shape)
            rows = [call.pull_back([out], [u]) for u in units]

            def stacked(i: int, x: Tensor) -> Tensor:
                shape = (*out.shape, *x.shape)
                if not rows:
                    return wrap(np.zeros(shape, x.dtype))
                return OPS["reshape"](OPS["stack"]([row[i] for row in rows]), shape)

            found = call.like_chosen([stacked(i, x) for i, x in enumerate(call.inputs)])
            return tuple(found) if isinstance(argnums, (tuple, list)) else found[0]

        return _map(of, call.out)

    return jacobian_of


@filtered
def hessian(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns all second derivatives, shape ``t + t`` for an input of shape ``t``.

    For scalar functions; several arguments, and nested ones, give a structure of structures. Use
    `hvp` where that many numbers do not fit.
    """
    return jacobian(grad(fn, argnums), argnums)


@filtered
def hvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function times a vector, without forming the Hessian.

    Args:
        primals: the arguments, nested as they may be.
        tangents: the vector, with the same structure and shapes.

    Returns:
        A tuple like `primals`.
    """
    primals = _sequence("primals", primals)
    gradient = grad(fn, tuple(range(len(primals))))
    _, pull_back = vjp(gradient, *primals)
    return pull_back(_sequence("tangents", tangents))


def stop_gradient(value: Any) -> Any:
    """The same values, through which no gradient flows; over nested structures."""
    return tree_map(lambda t: as_tensor(t).detach(), value)
