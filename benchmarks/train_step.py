"""Time of a training step, ours and others', in one run: ``python -m benchmarks.train_step``.

All contestants get the same batches, start from the same weights and may use the same number of
threads. Their loss curves over the first 50 steps are compared, so nobody wins by doing less. Then
they take turns, some steps each, so that whatever else the machine does hits all of them; the table
shows medians and their ratio to the best peer. Beside them stands the time that the step's
multiplications would take at the measured peak of the machine.
"""

from __future__ import annotations

import platform
import statistics
import time
from typing import Any

from . import report
from .nets import BATCHES, NETS, data, initial_weights, unfolded
from .peers import PEERS, contestant

CURVE = 50
RATE = 0.02


def multiplications(name: str) -> int:
    """Floating-point operations of one sample: forward, gradients of kernels, gradients of inputs
    (but for the first layer)."""
    (height, width, channels), layers = NETS[name]
    total, features, first = 0, 0, True
    for kind, *given in unfolded(layers):
        here = 0
        if kind == "conv":
            filters, kernel, padding, _ = given
            height, width = (n + 2 * padding - kernel + 1 for n in (height, width))
            here = 2 * kernel * kernel * channels * filters * height * width
            channels = filters
        elif kind == "normalized":
            filters, stride, _ = given
            height, width = ((n - 1) // stride + 1 for n in (height, width))
            here = 2 * 9 * channels * filters * height * width
            channels = filters
        elif kind == "dense":
            here = 2 * features * given[0]
            features = given[0]
        elif kind == "flatten":
            features = height * width * channels
        elif kind == "mean":
            features = channels
        else:
            height, width = height // given[0], width // given[0]
        total += here * (2 if first else 3)
        first = first and not here
    return total


def curve(trainer: Any, x: Any, labels: Any, steps: int) -> list[float]:
    """The losses of the first steps."""
    return [trainer.step(x[i % len(x)], labels[i % len(x)]) for i in range(steps)]


def turns(contestants: dict[str, Any], x: Any, labels: Any, seconds: float) -> dict[str, Any]:
    """Times of steps in seconds, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds * len(contestants)
    while time.perf_counter() < end:
        for name, one in contestants.items():
            one.step(x[0], labels[0])  # after another's turn: caches, and threads that spin
            turn = time.perf_counter()
            i = 0
            while time.perf_counter() - turn < 0.25 or i < 2:
                start = time.perf_counter()
                one.step(x[i % len(x)], labels[i % len(x)])
                times[name].append(time.perf_counter() - start)
                i += 1
    return times


def run(
    net: str, batch: int, peers: list[str], threads: int, seconds: float, losses: int = CURVE
) -> dict[str, Any]:
    """One row of the table, for all contestants.

    Args:
        net, batch: what to train.
        peers: names in `PEERS`.
        threads: how many each may use.
        seconds: for each contestant.
        losses: how many first losses to compare.
    """
    x, labels = data(net, batch, 8)
    weights = initial_weights(net)
    contestants: dict[str, Any] = {}
    missing = {}
    for name in ("gradtape", *peers):
        try:
            contestants[name] = contestant(name, net, weights, RATE, threads)
        except ImportError as error:
            missing[name] = f"not installed ({error.name})"
    curves = {name: curve(c, x, labels, losses) for name, c in contestants.items()}
    reference = curves[next((n for n in curves if n != "gradtape"), "gradtape")]
    times = turns(contestants, x, labels, seconds)
    result: dict[str, Any] = {"net": net, "batch": batch, "missing": missing, "contestants": {}}
    for name, taken in times.items():
        pairs = zip(curves[name], reference, strict=True)
        apart = max(abs(a - b) for a, b in pairs) / max(reference)
        result["contestants"][name] = {
            "version": contestants[name].version,
            "median_ms": 1e3 * statistics.median(taken),
            "best_ms": 1e3 * min(taken),
            "steps": len(taken),
            "first_losses": curves[name],
            "largest_difference_of_losses": apart,
        }
    others = [n for n in times if n != "gradtape"]
    if others:
        rivals = result["contestants"]
        best = min(others, key=lambda n: rivals[n]["median_ms"])
        result["best_peer"] = best
        result["ratio"] = rivals["gradtape"]["median_ms"] / rivals[best]["median_ms"]
        result["ratio_of_best_times"] = rivals["gradtape"]["best_ms"] / rivals[best]["best_ms"]
    return result


def show(results: list[dict[str, Any]], peak: float, threads: int) -> None:
    """The table."""
    for result in results:
        floor = multiplications(result["net"]) * result["batch"] / (peak * threads * 1e9) * 1e3
        print(f"\n{result['net']}, batch {result['batch']}; at the measured peak {floor:.2f} ms")
        for name, found in result["contestants"].items():
            print(
                f"  {name:14} {found['version']:>22}  median {found['median_ms']:8.2f} ms"
                f"  best {found['best_ms']:8.2f} ms  losses differ by "
                f"{found['largest_difference_of_losses']:.1e}"
            )
        for name, why in result["missing"].items():
            print(f"  {name:14} {why}")
        if "ratio" in result:
            print(
                f"  ratio to {result['best_peer']}: {result['ratio']:.3f} of medians, "
                f"{result['ratio_of_best_times']:.3f} of best times"
            )


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("train_step", __doc__)
    parser.add_argument("--peers", default="torch", help=f"comma-separated: {', '.join(PEERS)}")
    parser.add_argument("--nets", default="lenet5", help=f"comma-separated: {', '.join(NETS)}")
    parser.add_argument("--batch", type=int, help="instead of the usual sizes")
    parser.add_argument("--losses", type=int, default=CURVE, help="first losses to compare")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each contestant")
    given = parser.parse_args(arguments)
    from gradtape.kernels.peak import peak as measured_peak

    results = []
    for net in report.names(given.nets):
        for batch in (given.batch,) if given.batch else BATCHES.get(net, (32,)):
            peers = report.names(given.peers)
            results.append(run(net, batch, peers, given.threads, given.seconds, given.losses))
    peak = measured_peak()
    print(f"{platform.processor() or platform.machine()}, {given.threads} threads;", end=" ")
    print(f"fused multiply-adds: {peak:.0f} GFLOP/s a core")
    show(results, peak, given.threads)
    groups = {
        f"{r['net']}, batch {r['batch']}": {n: c["median_ms"] for n, c in r["contestants"].items()}
        for r in results
    }
    facts = {"threads": given.threads, "peak_gflops_per_core": peak}
    report.write(given.out, "train_step", results, groups, "ms a step", **facts)


if __name__ == "__main__":
    main()
