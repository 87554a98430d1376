"""``python -m tests.fuzz``: many mutants of every format, and what reading them did.

A mutant is found again by its format, seed and number: ``--seed 7 --format model --only 1234``.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import gradtape as gt
from gradtape import models
from gradtape.config import serialization
from gradtape.config.checked import kinds_of

from .data import FORMATS
from .formats import Format
from .guard import TooSlow, Watch


def judge(form: Format, watch: Watch, rng: random.Random) -> tuple[str, list[str]]:
    """Read one mutant: what came of it, and what must not have been."""
    damage, size = form.mutant(rng)
    result, error, faults = watch.run(form.read, size)
    faults = list(faults)
    if error is None:
        if result == form.content:
            return "unchanged", faults
        return "other content", faults + ["damage was not noticed"] * damage
    if not isinstance(error, (*form.errors, TooSlow)) or _foreign(error):
        last = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(f"{type(error).__name__}: {str(error)[:300]} ({last.filename}:{last.lineno})")
    elif len(str(error)) > 20_000:
        faults.append(f"an error of {len(str(error)):,} characters")
    if not form.untouched():
        faults.append("refused, but something is changed")
    return "refused", faults


def _foreign(error: BaseException) -> bool:
    """Whether an error is none of ours: it was raised elsewhere and names no file."""
    if isinstance(error, OSError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return not any(part in last for part in ("framework", "datasets", "models", "gradtape", "fuzz"))


def _load_all() -> None:
    """What the package looks up in itself when it is first asked for is no doing of a file."""
    for package in (models, gt.layers, gt.losses, gt.metrics, gt.optimizers, gt.callbacks):
        for name in dir(package):
            getattr(package, name)
    for thing in list(serialization._known.values()):
        for cls in getattr(thing, "__mro__", ()):
            if hasattr(cls.__init__, "__wrapped__"):
                kinds_of(cls.__init__.__wrapped__)


def work(name: str, seed: int, numbers: range, at: Any, folder: Path) -> None:
    """Fuzz one format in this process; prints findings and, at the end, a count."""
    warnings.simplefilter("ignore")
    form = FORMATS[name](folder)
    _load_all()
    watch = Watch(folder, form.allowed)
    # What is imported at first use is no violation: an honest and a damaged file show it all.
    for start in range(40):
        form.mutant(random.Random(f"{name} warm {start}"))
        watch.run(form.read, 1 << 30)
    form.clear()
    form.file.write_bytes(form.good)
    counts: Counter[str] = Counter()
    for number in numbers:
        at[:8] = number.to_bytes(8, "little")
        outcome, faults = judge(form, watch, random.Random(f"{name} {seed} {number}"))
        counts[outcome] += 1
        for fault in faults:
            print(f"FAULT {name} seed {seed} number {number} ({outcome}): {fault}", flush=True)
        counts["faults"] += bool(faults)
    print(f"COUNT {name} {json.dumps(counts)}", flush=True)


def run(name: str, seed: int, numbers: range, jobs: int) -> tuple[Counter[str], list[str]]:
    """Fuzz one format in several processes, which may die of it."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    waiting = [range(numbers.start + i, numbers.stop, jobs) for i in range(jobs)]
    running: dict[int, tuple[range, Any, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="gradtape-fuzz-") as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                part = waiting.pop()
                at, out = mmap.mmap(-1, 8), tempfile.TemporaryFile("w+")  # noqa: SIM115
                if (child := os.fork()) == 0:
                    os.dup2(out.fileno(), 1)
                    code = 1
                    try:
                        work(name, seed, part, at, Path(folder) / f"{os.getpid()}")
                        code = 0
                    except BaseException:
                        traceback.print_exc()
                    finally:
                        sys.stdout.flush()
                        os._exit(code)
                running[child] = part, at, out
            child, status = os.wait()
            part, at, out = running.pop(child)
            out.seek(0)
            for line in out:
                if line.startswith("COUNT"):
                    counts.update(json.loads(line.split(" ", 2)[2]))
                elif line.startswith("FAULT"):
                    faults.append(line.strip())
            if status:
                number = int.from_bytes(at[:8], "little")
                faults.append(
                    f"FAULT {name} seed {seed} number {number}: the process died ({status})"
                )
                left = range(number + part.step, part.stop, part.step)
                if left and len(faults) < 1000:
                    waiting.append(left)
    return counts, faults


def main() -> int:
    """Fuzz as asked; returns 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add("--files", type=int, default=1000, help="mutants of each format (default: 1000)")
    add("--seed", type=int, default=0)
    add("--format", choices=FORMATS, action="append", help="only this one (may be repeated)")
    add("--only", type=int, help="only the mutant of this number")
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    numbers = range(arguments.files)
    if arguments.only is not None:
        numbers = range(arguments.only, arguments.only + 1)
    bad = 0
    print("| format | files | refused | unchanged | other, valid content | faults | files/s |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.format or FORMATS:
        started = time.monotonic()
        counts, faults = run(name, arguments.seed, numbers, min(arguments.jobs, len(numbers)))
        speed = len(numbers) / (time.monotonic() - started)
        columns = (counts[k] for k in ("refused", "unchanged", "other content"))
        cells = " | ".join(f"{n:,}" for n in (len(numbers), *columns, len(faults)))
        print(f"| {name} | {cells} | {speed:.0f} |", flush=True)
        for fault in faults[:40]:
            print(fault, file=sys.stderr)
        bad += len(faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
