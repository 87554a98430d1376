"""The names of the ops on compiled kernels: ``NUMBA_DISABLE_JIT=1 python -m tests.on_kernels``.

Found by running each op, forward and back, on its first samples and seeing which code is entered.
"""

from __future__ import annotations

import sys
import warnings
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import gradtape as gt
from gradtape import kernels
from gradtape.autograd.tape import OPS

KERNELS = Path(kernels.__file__).parent
#: Those that call a library, or compile nothing themselves.
OTHERS = {"blas.py", "__init__.py", "jit.py"}


def runs_on_kernels(op: Any) -> bool:
    """Whether an op enters a file of kernels."""
    entered: set[str] = set()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parent == KERNELS:
            entered.add(path.name)

    for sample in islice(op.samples(np.random.default_rng(0)), 8):
        floats = [a.dtype.kind == "f" for a in sample.arrays]
        inputs = [gt.Tensor(a, requires_grad=f) for a, f in zip(sample.arrays, floats, strict=True)]
        sys.setprofile(watch)
        try:
            out = op(*inputs, **sample.settings)
            for part in out if isinstance(out, (list, tuple)) else [out]:
                if part.requires_grad and part.size:
                    part.sum().backward()
        finally:
            sys.setprofile(None)
        if entered - OTHERS:
            return True
    return False


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(*[name for name, op in OPS.items() if runs_on_kernels(op)])
