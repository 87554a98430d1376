"""One call of an op beside the same call of its twin in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch_twins import TWINS

import gradtape as gt
from gradtape.autograd.backward import run_backward
from gradtape.autograd.tape import OPS

torch.set_num_threads(1)  # the arrays are small, and two tests may run side by side

Array = np.ndarray


@dataclass
class Comparison:
    """What the two made of the same arrays: pairs (ours, PyTorch's).

    Attributes:
        results: of the outputs.
        gradients: for the arrays that move.
        given: the arrays that went in, the cotangents among them.
    """

    results: list[tuple[Array, Array]]
    gradients: list[tuple[Array, Array]]
    given: list[Array]


def moving(name: str, sample: gt.Sample) -> list[int]:
    """The positions of the arrays that have a gradient."""
    rules = getattr(OPS[name], "gradients", ())
    return [
        i
        for i, a in enumerate(sample.arrays)
        if a.dtype.kind == "f" and i not in sample.constant and (not rules or rules[i] is not None)
    ]


def many(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (list, tuple)) else [out]


def compared(name: str, sample: gt.Sample, dtype: str, rng: np.random.Generator) -> Comparison:
    """Call both, and pull the same random cotangents back through both.

    Raises:
        NotInTorch: PyTorch refuses this call.
    """
    chosen = moving(name, sample)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in sample.arrays]
    ours = [gt.as_tensor(a) for a in arrays]
    theirs = [torch.from_numpy(a.copy()) for a in arrays]
    for i in chosen:
        ours[i].requires_grad = True
        theirs[i].requires_grad_()
    wanted = many(TWINS[name](*theirs, **sample.settings))
    outputs = many(OPS[name](*ours, **sample.settings))
    results = [(y.numpy(), t.detach().numpy()) for y, t in zip(outputs, wanted, strict=True)]
    cotangents = [rng.uniform(-1, 1, y.shape).astype(y.dtype) for y, _ in results]

    def found(values: Sequence[Any], pull_back: Any) -> list[Array]:
        taped = [i for i, value in enumerate(values) if value.requires_grad]
        gradients = pull_back(taped) if taped else [None] * len(chosen)
        return [
            np.zeros_like(arrays[i]) if g is None else g.detach().numpy()
            for i, g in zip(chosen, gradients, strict=True)
        ]

    by_us = found(
        outputs,
        lambda taped: run_backward(
            [outputs[i] for i in taped],
            [gt.as_tensor(cotangents[i]) for i in taped],
            [ours[i] for i in chosen],
        ),
    )
    by_torch = found(
        wanted,
        lambda taped: torch.autograd.grad(
            [wanted[i] for i in taped],
            [theirs[i] for i in chosen],
            [torch.from_numpy(cotangents[i]) for i in taped],
            allow_unused=True,
        ),
    )
    return Comparison(results, list(zip(by_us, by_torch, strict=True)), [*arrays, *cotangents])
