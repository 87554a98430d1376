"""From the start of a process to import and first step: ``python -m benchmarks.startup``.

Whole processes are timed, the interpreter's own start included. Warm: the kernels are in the cache.
Cold: the cache is an empty folder, so that all kernels of the step are compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import report

_STEP = (
    "from benchmarks.peers import {make}; from benchmarks.nets import data, initial_weights; "
    "x, y = data('lenet5', 128, 1); "
    "{make}('lenet5', initial_weights('lenet5'), 0.02, {threads}).step(x[0], y[0])"
)
CONTESTANTS = {
    report.OURS: ("gradtape", "Gradtape"),
    "torch": ("torch", "Torch"),
    "tensorflow": ("tensorflow", "TensorFlow"),
    "jax": ("jax", "Jax"),
}


def seconds(code: str, **environment: str) -> float | None:
    """How long a process takes to run this; None if it cannot import something.

    Raises:
        RuntimeError: it fails otherwise.
    """
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=report.ROOT,
        env={**os.environ, **environment},
    )
    taken = time.perf_counter() - start
    if "ModuleNotFoundError" in run.stderr:
        return None
    if run.returncode:
        raise RuntimeError(f"{code}\n{run.stderr[-2000:]}")
    return taken


def measure(contestant: str, threads: int, cold: bool = False) -> dict[str, Any]:
    """Seconds of a bare interpreter, of the import, of the first step (and of a cold one)."""
    package, make = CONTESTANTS[contestant]
    step = _STEP.format(make=make, threads=threads)
    imported = seconds(f"import {package}")
    if imported is None:
        return {"missing": f"not installed ({package})"}
    found = {"interpreter": seconds("pass"), "import": imported, "first_step": seconds(step)}
    if cold and contestant == report.OURS:
        with tempfile.TemporaryDirectory() as folder:
            found["cold_step"] = seconds(step, NUMBA_CACHE_DIR=folder)
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("startup", __doc__)
    parser.add_argument("--peers", default="torch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-cold", action="store_true", help="compile nothing")
    given = parser.parse_args(arguments)
    contestants = [report.OURS, *report.names(given.peers)]
    runs: dict[str, list[Any]] = {name: [] for name in contestants}
    for turn in range(given.runs + 1):
        for name in contestants:
            cold = turn == 1 and not given.no_cold
            found = measure(name, given.threads, cold)
            if turn:  # the first fills caches, of kernels and of the disk
                runs[name].append(found)
    found = {}
    for name, several in runs.items():
        cold_step = {k: v for k, v in several[0].items() if k == "cold_step"}
        plain = [{k: v for k, v in r.items() if k != "cold_step"} for r in several]
        found[name] = report.medians(plain) | cold_step
    units = dict.fromkeys(("interpreter", "import", "first_step", "cold_step"), "s")
    report.show("Seconds from the start of a process", found, units)
    groups = {
        key: {name: f[key] for name, f in found.items() if key in f}
        for key in ("import", "first_step")
    }
    report.write(given.out, "startup", found, groups, "seconds", threads=given.threads)


if __name__ == "__main__":
    main()
