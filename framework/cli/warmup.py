"""``gradtape warmup``: compile every kernel now, so that no training step waits for it."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..errors import counted
from .usage import UsageError


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "warmup",
        help="compile all kernels and keep them for later runs",
        description="Compile the kernels of native programs and those of single ops for this "
        "machine, or find them in the cache, and say how many there are and how long it took.",
    )
    parser.add_argument("--quiet", action="store_true", help="print only the last line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compile, and say what was done.

    Raises:
        UsageError: programs are turned off, or Numba is told not to compile.
    """
    from .. import program
    from ..optimizers import usual

    if not program.enabled():
        raise UsageError(
            "Native programs are turned off (NUMBA_DISABLE_JIT=1 or GRADTAPE_NATIVE=0), so there "
            "is nothing to compile."
        )

    def say(kernel: Any) -> None:
        if not options.quiet:
            print(f"  {kernel.name}", flush=True)

    start = time.perf_counter()
    count = program.warmup(say, usual())
    program.warmup_eager()
    seconds = time.perf_counter() - start
    what = f"{counted(count, 'kernel')} of programs and those of single ops"
    print(f"{what} are ready ({seconds:.1f} s).")
    return 0
