"""All benchmarks, one after the other, and the tables of docs/performance.md: ``benchmarks.all``.

    python -m benchmarks.all --quick      # about ten minutes on two quiet cores
    python -m benchmarks.all              # longer turns, more runs
    python -m benchmarks.all --only startup,memory
    python -m benchmarks.all --only ""    # measure nothing, write the tables again

What is not measured this time stays as it was in docs/performance.json.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import json
import os
import platform
import time
from pathlib import Path

from . import report, tables

FIGURES = report.ROOT / "docs" / "performance.json"
PAGE = report.ROOT / "docs" / "performance.md"
PEERS = "torch,tensorflow,jax"
LARGE = "alexnet_small,vgg_small,resnet20"

#: Name: module, options for a quick run, options for a long one.
RUNS: dict[str, tuple[str, list[str], list[str]]] = {
    "train_step": (
        "train_step",
        ["--nets", "lenet5", "--peers", PEERS, "--seconds", "5"],
        ["--nets", "lenet5", "--peers", f"{PEERS},torch-compile", "--seconds", "20"],
    ),
    "train_step_large": (
        "train_step",
        ["--nets", LARGE, "--peers", PEERS, "--seconds", "6", "--losses", "5"],
        ["--nets", LARGE, "--peers", PEERS, "--seconds", "30"],
    ),
    "predict": (
        "predict",
        ["--peers", PEERS, "--seconds", "3"],
        ["--peers", PEERS, "--seconds", "10"],
    ),
    "fit_epoch": ("fit_epoch", ["--epochs", "2", "--runs", "1"], ["--epochs", "3", "--runs", "3"]),
    "memory": ("memory", ["--peers", PEERS], ["--peers", PEERS, "--steps", "20"]),
    "startup": ("startup", ["--peers", "torch", "--runs", "3"], ["--peers", PEERS, "--runs", "7"]),
    "scaling": ("scaling", ["--seconds", "0.5", "--losses", "1"], ["--seconds", "3"]),
    "time_to_accuracy": ("time_to_accuracy", ["--backends", "tensorflow,torch"], []),
}


def machine() -> str:
    """The processor's name, as far as the system says it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("all", __doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(RUNS), help="comma-separated names")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="the JSON file to renew")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose tables to renew")
    given = parser.parse_args(arguments)
    kept = json.loads(given.figures.read_text()) if given.figures.exists() else {}
    for name in report.names(given.only):
        module, quick, long = RUNS[name]
        options = [*(quick if given.quick else long), "--threads", str(given.threads)]
        start = time.time()
        print(f"\n== {name}: benchmarks.{module} {' '.join(options)}", flush=True)
        importlib.import_module(f"benchmarks.{module}").main(
            [*options, "--out", str(given.out / name)]
        )
        found = json.loads((given.out / name / f"{module}.json").read_text())
        kept[name] = found | {
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": machine(),
            "cores": os.cpu_count(),
            "command": f"benchmarks.{module} {' '.join(options)}",
            "seconds": round(time.time() - start),
        }
        given.figures.write_text(json.dumps(kept, indent=1) + "\n")
    tables.renew(given.page, kept)
    print(f"\nwritten to {given.figures} and {given.page}")


if __name__ == "__main__":
    main()
