"""Samples a second of `predict`, ours and others', in one run: ``python -m benchmarks.predict``.

All contestants have the same weights and predict the same batches; their logits are compared. They
take turns, as in `benchmarks.train_step`.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from . import report
from .nets import BATCHES, data, initial_weights
from .peers import PEERS, contestant

NETS = {"lenet5": 40, "vgg_small": 3}


def run(net: str, peers: list[str], threads: int, seconds: float) -> dict[str, Any]:
    """What was measured of every contestant.

    Args:
        net: what predicts.
        peers: names in `PEERS`.
        threads: how many each may use.
        seconds: for each contestant.
    """
    x = data(net, BATCHES[net][0], NETS[net])[0]
    found: dict[str, dict[str, Any]] = {}
    contestants: dict[str, Any] = {}
    for name in (report.OURS, *peers):
        try:
            contestants[name] = contestant(name, net, initial_weights(net), 0.02, threads)
        except ImportError as error:
            found[name] = {"missing": f"not installed ({error.name})"}
    logits = {name: one.predict(x) for name, one in contestants.items()}
    reference = logits[report.OURS]
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds * len(contestants)
    while time.perf_counter() < end:
        for name, one in contestants.items():
            one.predict(x[:1])  # after another's turn
            start = time.perf_counter()
            one.predict(x)
            times[name].append(time.perf_counter() - start)
    for name, taken in times.items():
        median = statistics.median(taken)
        found[name] = {
            "us_a_sample": 1e6 * median / (x.shape[0] * x.shape[1]),
            "best_us_a_sample": 1e6 * min(taken) / (x.shape[0] * x.shape[1]),
            "largest_difference": float(np.abs(logits[name] - reference).max()),
        }
    return {name: found[name] for name in (report.OURS, *peers)}


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("predict", __doc__)
    parser.add_argument("--peers", default="torch", help=f"comma-separated: {', '.join(PEERS)}")
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--seconds", type=float, default=5.0, help="for each contestant")
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for net in report.names(given.nets):
        found = run(net, report.names(given.peers), given.threads, given.seconds)
        report.show(net, found, {"us_a_sample": "us", "best_us_a_sample": "us"})
        apart = max(f.get("largest_difference", 0.0) for f in found.values())
        print(f"  logits differ by at most {apart:.1e}")
        results[net] = found
    groups = {
        net: {name: f["us_a_sample"] for name, f in found.items() if "us_a_sample" in f}
        for net, found in results.items()
    }
    report.write(given.out, "predict", results, groups, "us a sample", threads=given.threads)


if __name__ == "__main__":
    main()
