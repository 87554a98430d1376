"""From figures to the tables of docs/performance.md, between its markers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import report

Figures = dict[str, Any]
Row = tuple[str, ...]
_MISSING = "not measured"

#: Net and batch size of a training step: the bar it must reach, and the one it aims at.
STEPS = {
    ("lenet5", 128): (0.33, 0.2),
    ("lenet5", 32): (0.4, 0.25),
    ("alexnet_small", 64): (0.7, 0.5),
    ("vgg_small", 64): (0.7, 0.5),
    ("resnet20", 64): (0.7, 0.5),
}


def verdict(value: float, must: float, aim: float, larger: bool = False) -> str:
    """Whether a figure reaches its bars."""
    if larger:
        value, must, aim = -value, -must, -aim
    return "aim reached" if value <= aim else "reached" if value <= must else "**missed**"


def _bar(
    what: str, wanted: tuple[float, float], value: float | None, told: str, larger: bool = False
) -> Row:
    said = f"{wanted[0]:g}", f"{wanted[1]:g}"
    if value is None:
        return what, *said, _MISSING, ""
    return what, *said, told, verdict(value, *wanted, larger)


def _against(found: dict[str, Any], key: str) -> tuple[float | None, str]:
    """Our part of the best peer's figure, and that in words."""
    best = report.ratio(found, key)
    if best is None:
        return None, ""
    ours, theirs = found[report.OURS][key], found[best[0]][key]
    return best[1], f"{best[1]:.2f} ({ours:.3g} against {theirs:.3g} of {best[0]})"


def bars(figures: Figures) -> Iterator[Row]:
    """The rows of the table of bars."""
    steps = [
        r for n in ("train_step", "train_step_large") for r in figures.get(n, {}).get("results", [])
    ]
    for (net, batch), wanted in STEPS.items():
        row = [r for r in steps if (r["net"], r["batch"]) == (net, batch)]
        found = row[0]["contestants"] if row else {}
        yield _bar(f"step of {net}, batch {batch}, ms", wanted, *_against(found, "median_ms"))
    found = figures.get("fit_epoch", {}).get("results", {})
    yield _bar("`fit` epoch, s", (0.35, 0.2), *_against(found, "epoch"))
    for batch, key in ((128, "overhead"), (32, "overhead_32")):
        overhead = found.get(report.OURS, {}).get(key)
        told = "" if overhead is None else f"{overhead:.1%}"
        yield _bar(
            f"overhead of `fit` over the bare step, batch {batch}", (0.1, 0.03), overhead, told
        )
    for net in ("lenet5", "vgg_small"):
        found = figures.get("predict", {}).get("results", {}).get(net, {})
        against = _against(found, "us_a_sample")
        yield _bar(f"`predict` of {net}, us a sample", (0.5, 0.3), *against)
    for title, wanted in (
        ("lenet5, batch 128", (0.5, 0.25)),
        ("vgg_small, batch 64", (1.0, 0.6)),
    ):
        found = figures.get("memory", {}).get("results", {}).get(title, {})
        yield _bar(f"peak memory of {title}, MB", wanted, *_against(found, "above"))
    for title, found in figures.get("scaling", {}).get("speed_ups", {}).items():
        if title in ("lenet5, batch 256", "lenet5, batch 1024", "image_128, batch 32"):
            value = found[report.OURS]
            yield _bar(f"2 threads against 1: {title}", (1.7, 1.9), value, f"{value:.2f}", True)
    found = figures.get("startup", {}).get("results", {}).get(report.OURS, {})
    for key, what, most in (
        ("import", "`import gradtape`, s", 0.25),
        ("first_step", "process start to first LeNet step, warm, s", 1.0),
        ("cold_step", "the same, kernels compiled, s", 15.0),
    ):
        told = f"{found[key]:.2f}" if key in found else ""
        yield _bar(what, (most, most), found.get(key), told)


def times(figures: Figures) -> Iterator[Row]:
    """The rows of the table of seconds to an accuracy."""
    for goal, found in figures.get("time_to_accuracy", {}).get("results", {}).items():
        for name, f in found.items():
            if "missing" in f:
                yield goal, name, f["missing"], "", ""
            else:
                told = f"{f['seconds']:.1f}", f"{f['epochs']:.0f}", f"{f['accuracy']:.3f}"
                yield goal, name, *told


def steps(figures: Figures) -> Iterator[Row]:
    """The rows of the table of training steps."""
    for name in ("train_step", "train_step_large"):
        for r in figures.get(name, {}).get("results", []):
            for who, f in r["contestants"].items():
                losses = f"{f['largest_difference_of_losses']:.0e}"
                told = f"{f['median_ms']:.2f}", f"{f['best_ms']:.2f}"
                yield f"{r['net']}, {r['batch']}", f"{who} {f['version']}", *told, losses


def runs(figures: Figures) -> Iterator[Row]:
    """Where the figures come from."""
    for name, f in figures.items():
        load = f"{f.get('load_average', 0):.1f}"
        yield name, f["date"], f"{f['machine']}, {f['cores']} cores", load, f"{f['seconds']} s"


TABLES = {
    "bars": (("", "must", "aim", "measured (ratio to the best peer)", ""), bars),
    "steps": (("net, batch", "", "median, ms", "best, ms", "first losses differ by"), steps),
    "times": (("data", "", "seconds", "epochs", "accuracy"), times),
    "runs": (("figures", "when", "where", "load average afterwards", "took"), runs),
}


def renew(page: Path, figures: Figures) -> None:
    """Write the tables anew between ``<!-- name -->`` and ``<!-- end -->``.

    Raises:
        ValueError: the page lacks a table's markers.
    """
    text = page.read_text()
    for name, (head, rows) in TABLES.items():
        lines = [head, ("---",) * len(head), *rows(figures)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        text, count = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}{table}\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise ValueError(f"{page} needs one pair of markers <!-- {name} -->, found {count}.")
    page.write_text(text)
