"""Functional autograd: functions in, derivative functions out, over nested structures of tensors.

Everything here is the backward pass, arranged: `vjp` pulls one cotangent back, `grad` pulls 1 back,
`jvp` pulls back twice (the pull-back is linear in its cotangent, and *its* pull-back pushes
forward), `jacobian` pulls back every unit cotangent. Names and argument orders are JAX's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backward import run_backward
from .errors import ShapeError
from .tape import OPS, enable_grad, grad_mode
from .tensor import Tensor, as_tensor, wrap
from .tree import tree_leaves, tree_map

Argnums = int | tuple[int, ...]


def _taped(args: Any, create_graph: bool) -> tuple[Any, list[Tensor]]:
    """`args` with every floating leaf replaced by a tensor of its own, and those tensors.

    With `create_graph` they stay tied to the caller's tape, so that results can be differentiated
    again; without, they are fresh leaves.
    """
    inputs: list[Tensor] = []

    def fresh(value: Any) -> Tensor:
        tensor = as_tensor(value)
        if tensor.dtype.kind != "f":
            return tensor
        if create_graph and tensor.requires_grad:
            tensor = OPS["copy"](tensor)
        else:
            tensor = tensor.detach()
            tensor.requires_grad = True
        inputs.append(tensor)
        return tensor

    return tree_map(fresh, args), inputs


def _being_taped(*structures: Any) -> bool:
    """Whether the caller is recording and differentiates with respect to something in here."""
    leaves = [leaf for s in structures for leaf in tree_leaves(s)]
    return grad_mode.enabled and any(isinstance(t, Tensor) and t.requires_grad for t in leaves)


def _gradients(
    outputs: list[Tensor], cotangents: list[Any], inputs: list[Tensor], create_graph: bool
) -> list[Tensor]:
    """Gradients for the inputs, zeros where the outputs do not depend on one."""
    found = run_backward(outputs, cotangents, inputs, retain_graph=True, create_graph=create_graph)
    return [
        wrap(np.zeros(x.shape, x.dtype)) if g is None else g
        for x, g in zip(inputs, found, strict=True)
    ]


def _like(structure: Any, leaves: Sequence[Tensor]) -> Any:
    """`structure` with these in place of its floating leaves, None in place of the others."""
    following = iter(leaves)
    return tree_map(
        lambda x: next(following) if as_tensor(x).dtype.kind == "f" else None, structure
    )


def _select(args: tuple[Any, ...], argnums: Argnums) -> tuple[tuple[int, ...], list[Any]]:
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in positions:
        if not -len(args) <= i < len(args):
            raise ValueError(
                f"argnums={argnums} names argument {i}, but the function was called with "
                f"{len(args)} positional arguments."
            )
    return tuple(i % len(args) for i in positions), [args[i] for i in positions]


def _evaluate(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums
) -> tuple[Any, list[Any], list[Tensor], bool]:
    """Call `fn` with the selected arguments taped: output, those arguments, their leaves."""
    positions, chosen = _select(args, argnums)
    create_graph = _being_taped(args, kwargs)
    taped, inputs = _taped(chosen, create_graph)
    if not inputs:
        raise TypeError(
            f"argnums={argnums} selects nothing that can be differentiated: expected floating "
            "tensors or arrays, alone or in lists, tuples and dicts."
        )
    full = list(args)
    for i, value in zip(positions, taped, strict=True):
        full[i] = value
    with enable_grad():
        return fn(*full, **kwargs), chosen, inputs, create_graph


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
        TypeError: what is selected holds nothing to differentiate by.
    """

    def evaluated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        out, chosen, inputs, create_graph = _evaluate(fn, args, kwargs, argnums)
        value = as_tensor(out[0] if has_aux else out)
        if value.size != 1:
            raise ValueError(
                f"grad differentiates functions that return one element; "
                f"{getattr(fn, '__name__', 'this one')} returned shape {value.shape}. Reduce it "
                "with .sum() or .mean(), or use gt.jacobian."
            )
        found = _like(chosen, _gradients([value], [None], inputs, create_graph))
        if not create_graph:
            out = tree_map(lambda t: t.detach() if isinstance(t, Tensor) else t, out)
        return out, found[0] if isinstance(argnums, int) else tuple(found)

    return evaluated


def grad(fn: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of a scalar function; see `value_and_grad`.

    With `has_aux`, it returns ``(gradient, aux)``. ``gt.grad(gt.grad(f))`` works to any depth.
    """
    evaluated = value_and_grad(fn, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        out, found = evaluated(*args, **kwargs)
        return (found, out[1]) if has_aux else found

    return gradient


def _check_like(name: str, given: Any, expected: Any) -> list[Tensor]:
    """The leaves of `given`, matched in number and shape with those of `expected`."""
    given, expected = list(tree_leaves(given)), list(tree_leaves(expected))
    if len(given) != len(expected):
        raise ValueError(f"{name}: expected {len(expected)} tensors, received {len(given)}.")
    tensors = [as_tensor(g, e.dtype) for g, e in zip(given, expected, strict=True)]
    for i, (g, e) in enumerate(zip(tensors, expected, strict=True)):
        if g.shape != e.shape:
            raise ShapeError(f"{name} {i}: expected shape {e.shape}, received {g.shape}.")
    return tensors


def vjp(fn: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """``(fn(*primals), pull_back)``: the vector-Jacobian product, as a function of the cotangent.

    ``pull_back(cotangent)`` takes the structure and shapes of the output and returns a tuple with
    a gradient per primal. It may be called any number of times.

    Raises:
        ShapeError: a cotangent of another shape than its output.
    """
    out, chosen, inputs, create_graph = _evaluate(fn, primals, {}, tuple(range(len(primals))))
    outputs = [as_tensor(t) for t in tree_leaves(out)]

    def pull_back(cotangent: Any) -> tuple[Any, ...]:
        cotangents = _check_like("cotangent", cotangent, outputs)
        again = create_graph or _being_taped(cotangents)
        return tuple(_like(chosen, _gradients(outputs, cotangents, inputs, again)))

    return out if create_graph else tree_map(lambda t: as_tensor(t).detach(), out), pull_back


def jvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """``(fn(*primals), tangent of the output)``: the Jacobian-vector product.

    Computed by pulling back twice: the pull-back is linear in its cotangent u, and the gradient of
    ``<pull_back(u), tangents>`` by u is the push-forward (Townsend's trick, 2017).

    Raises:
        ShapeError: a tangent of another shape than its primal.
    """
    primals, tangents = tuple(primals), tuple(tangents)
    create_graph = _being_taped(primals, tangents)
    taped, inputs = _taped(primals, create_graph)
    floating = [t for t in tree_leaves(primals) if as_tensor(t).dtype.kind == "f"]
    moves = _check_like("tangent", list(tree_leaves(tangents)), [as_tensor(t) for t in floating])
    with enable_grad():
        out = fn(*taped)
        outputs = [as_tensor(t) for t in tree_leaves(out)]
        cotangents = [wrap(np.zeros(t.shape, t.dtype)) for t in outputs]
        for u in cotangents:
            u.requires_grad = True
        pulled = _gradients(outputs, cotangents, inputs, create_graph=True)
    pushed = _gradients(pulled, moves, cotangents, create_graph)
    following = iter(pushed)
    tangent = tree_map(lambda _: next(following), out)
    return out if create_graph else tree_map(lambda t: as_tensor(t).detach(), out), tangent


def jacobian(fn: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of a function that returns one tensor.

    For output shape ``s`` and input shape ``t`` it has shape ``s + t``; nested inputs give the
    same structure of Jacobians.
    """

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        out, chosen, inputs, create_graph = _evaluate(fn, args, kwargs, argnums)
        value = as_tensor(out)
        units = np.eye(value.size, dtype=value.dtype).reshape(value.size, *value.shape)
        rows = [_gradients([value], [u], inputs, create_graph) for u in units]

        def stacked(i: int, x: Tensor) -> Tensor:
            shape = (*value.shape, *x.shape)
            if not rows:
                return wrap(np.zeros(shape, x.dtype))
            return OPS["reshape"](OPS["stack"]([row[i] for row in rows]), shape)

        found = _like(chosen, [stacked(i, x) for i, x in enumerate(inputs)])
        return found[0] if isinstance(argnums, int) else tuple(found)

    return jacobian_of


def hessian(fn: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns all second derivatives, shape ``t + t`` for an input of shape ``t``.

    For scalar functions of one tensor; use `hvp` where that many numbers do not fit.
    """
    gradient = grad(fn, argnums)
    return jacobian(lambda *args, **kwargs: gradient(*args, **kwargs), argnums)


def hvp(fn: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function times a vector, without forming the Hessian.

    Args:
        primals: the arguments, nested as they may be.
        tangents: the vector, with the same structure and shapes.

    Returns:
        A tuple like `primals`.
    """
    primals = tuple(primals)
    gradient = grad(fn, tuple(range(len(primals))))
    _, pull_back = vjp(lambda *args: gradient(*args), *primals)
    return pull_back(tuple(tangents))


def stop_gradient(value: Any) -> Any:
    """The same values, through which no gradient flows; over nested structures."""
    return tree_map(lambda t: as_tensor(t).detach(), value)
