"""Peak memory of training above that of the imported package: ``python -m benchmarks.memory``.

Each contestant and net runs in a process of its own. What is there before the first step (the
interpreter, the package with what it loads when it is first used, the data) does not count; the
model, the gradients, the state of the optimizer and all that a step needs do. Our kernels are
compiled in a process before; the peers compile nothing, or in every process.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from . import report
from .nets import BATCHES, data, initial_weights

NETS = ("lenet5", "vgg_small")


def peak() -> float:
    """The largest resident size of this process, in MB; since `forget_peak` where that works."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, not inherited from the parent process
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    import resource
    import sys

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak() -> None:
    """Start anew from the present size (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(contestant: str, net: str, batch: int, steps: int, threads: int) -> dict[str, Any]:
    """Megabytes at the peak above the size before the model was made, and that size."""
    from . import peers

    if contestant in peers.PACKAGES:
        __import__(peers.PACKAGES[contestant])
    x, labels = data(net, batch, 2)
    weights = initial_weights(net)
    forget_peak()
    before = peak()
    trainer = peers.contestant(contestant, net, weights, 0.02, threads)
    for step in range(steps):
        trainer.step(x[step % 2], labels[step % 2])
    return {"above": peak() - before, "imported": before}


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("memory", __doc__)
    parser.add_argument("--peers", default="torch")
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for net in report.names(given.nets):
        batch = BATCHES[net][0]
        rest = {"net": net, "batch": batch, "threads": given.threads}
        report.alone("benchmarks.memory", contestant=report.OURS, steps=1, **rest)
        found = {
            name: report.alone("benchmarks.memory", contestant=name, steps=given.steps, **rest)
            for name in (report.OURS, *report.names(given.peers))
        }
        title = f"{net}, batch {batch}"
        report.show(title, found, {"above": "MB"})
        results[title] = found
    groups = {
        title: {name: f["above"] for name, f in found.items() if "above" in f}
        for title, found in results.items()
    }
    report.write(given.out, "memory", results, groups, "MB", threads=given.threads)


if __name__ == "__main__":
    main()
