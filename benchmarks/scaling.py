"""How the time of a step grows, ours and others': ``python -m benchmarks.scaling``.

Over batch sizes (LeNet-5), image sizes and depths (small nets of 3x3 convolutions), each with 1
thread and with 2. What is compared and how is that of `benchmarks.train_step`.
"""

from __future__ import annotations

from typing import Any

from . import report
from .nets import DEPTHS, IMAGES
from .train_step import run

BATCHES = (16, 64, 256, 1024)
BATCH = 32


def cases(batches: list[int], images: list[int], depths: list[int]) -> list[tuple[str, int]]:
    """Nets and batch sizes."""
    return [
        *(("lenet5", n) for n in batches),
        *((f"image_{n}", BATCH) for n in images),
        *((f"depth_{n}", BATCH) for n in depths),
    ]


def speed_ups(results: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of every case, the time with the fewest threads over that with the most, by contestant."""
    found: dict[str, dict[str, float]] = {}
    fewest, most = (f(r["threads"] for r in results) for f in (min, max))
    for a in results:
        for b in results:
            same = a["net"] == b["net"] and a["batch"] == b["batch"]
            if same and a["threads"] == fewest and b["threads"] == most and fewest < most:
                found[f"{a['net']}, batch {a['batch']}"] = {
                    name: c["median_ms"] / b["contestants"][name]["median_ms"]
                    for name, c in a["contestants"].items()
                }
    return found


def main(arguments: list[str] | None = None) -> None:
    def numbers(text: str) -> list[int]:
        return [int(n) for n in report.names(text)]

    def listed(values: Any) -> str:
        return ",".join(map(str, values))

    parser = report.parser("scaling", __doc__)
    parser.add_argument("--peers", default="torch")
    parser.add_argument("--batches", type=numbers, default=listed(BATCHES))
    parser.add_argument("--images", type=numbers, default=listed(IMAGES))
    parser.add_argument("--depths", type=numbers, default=listed(DEPTHS))
    parser.add_argument("--thread-counts", type=numbers, default="1,2", help="not --threads")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each contestant and case")
    parser.add_argument("--losses", type=int, default=5, help="first losses that are compared")
    given = parser.parse_args(arguments)
    results, groups = [], {}
    for net, batch in cases(given.batches, given.images, given.depths):
        for threads in given.thread_counts:
            peers = report.names(given.peers)
            result = run(net, batch, peers, threads, given.seconds, given.losses)
            result["threads"] = threads
            results.append(result)
            title = f"{net}, batch {batch}, threads {threads}"
            missing = {name: {"missing": why} for name, why in result["missing"].items()}
            report.show(title, result["contestants"] | missing, {"median_ms": "ms"})
            groups[title] = {n: c["median_ms"] for n, c in result["contestants"].items()}
    found = speed_ups(results)
    for title, by_name in found.items():
        told = "   ".join(f"{name} {value:.2f}x" for name, value in by_name.items())
        print(f"{title}: more threads against fewer: {told}")
    report.write(given.out, "scaling", results, groups, "ms a step", speed_ups=found)


if __name__ == "__main__":
    main()
