"""What all benchmarks share: measuring in a process of its own, tables, JSON and charts."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OURS = "gradtape"

#: Title of a group of bars: the value of every contestant.
Groups = dict[str, dict[str, float]]

_CHILD = """
import importlib, json, sys
module, settings = sys.argv[1], json.loads(sys.argv[2])
try:
    found = importlib.import_module(module).measure(**settings)
except ImportError as error:
    found = {"missing": f"not installed ({error.name})"}
print(json.dumps(found))
"""


def alone(
    module: str, environment: dict[str, str] | None = None, **settings: Any
) -> dict[str, Any]:
    """What ``module.measure(**settings)`` returns in a process of its own.

    Returns:
        Its dict; ``{"missing": why}`` if it cannot import what it measures.

    Raises:
        RuntimeError: the process failed; with the end of what it said.
    """
    run = subprocess.run(
        [sys.executable, "-c", _CHILD, module, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
    if run.returncode:
        raise RuntimeError(f"{module}.measure({settings}) failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One dict of the medians of several, or the first that says what is missing."""
    missing = [r for r in runs if "missing" in r]
    if missing:
        return missing[0]
    return {
        k: statistics.median(r[k] for r in runs) if isinstance(v, (int, float)) else v
        for k, v in runs[0].items()
    }


def ratio(found: dict[str, dict[str, Any]], key: str) -> tuple[str, float] | None:
    """The best peer, and our value in parts of its; None without a peer or without us."""
    values = {name: f[key] for name, f in found.items() if key in f}
    peers = [name for name in values if name != OURS]
    if not peers or OURS not in values:
        return None
    best = min(peers, key=values.__getitem__)
    return best, values[OURS] / values[best]


def show(title: str, found: dict[str, dict[str, Any]], units: dict[str, str]) -> None:
    """Print a table: a row per contestant, a column per quantity, ratios below.

    Args:
        title: the line above it.
        found: of every contestant what was measured, or ``{"missing": why}``.
        units: of every quantity to show.
    """
    print(f"\n{title}")
    for name, values in found.items():
        if "missing" in values:
            print(f"  {name:16} {values['missing']}")
            continue
        columns = [
            f"{key.replace('_', ' ')} {values[key]:9.2f} {unit}"
            for key, unit in units.items()
            if key in values
        ]
        print(f"  {name:16} {'   '.join(columns)}")
    for key in units:
        if (against := ratio(found, key)) is not None:
            print(f"  {key.replace('_', ' ')}: {against[1]:.3f} of {against[0]}")


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    made = argparse.ArgumentParser(
        prog=f"benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    made.add_argument("--out", type=Path, default=Path("runs") / name)
    return made


def names(text: str) -> list[str]:
    """The parts of a comma-separated list."""
    return [part for part in text.split(",") if part]


def write(out: Path, name: str, results: Any, groups: Groups, unit: str, **facts: Any) -> None:
    """Write ``name.json``, and ``name.png`` where Matplotlib is there.

    Args:
        out: the folder.
        name: of the benchmark.
        results: what was measured.
        groups, unit: what to draw.
        facts: about the run.
    """
    out.mkdir(parents=True, exist_ok=True)
    facts |= {"machine": platform.machine(), "cores": os.cpu_count()}
    if hasattr(os, "getloadavg"):
        facts["load_average"] = os.getloadavg()[0]
    (out / f"{name}.json").write_text(json.dumps({**facts, "results": results}, indent=1))
    try:
        chart(groups, unit, out / f"{name}.png")
    except ImportError:
        print("no chart: matplotlib is not installed")
    print(f"\nwritten to {out}")


def chart(groups: Groups, unit: str, path: Path) -> None:
    """Bars, an axis for each group."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(3, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3 * rows), squeeze=False)
    for axis in axes.flat[len(groups) :]:
        axis.axis("off")
    for axis, (title, values) in zip(axes.flat, groups.items(), strict=False):
        colors = ["#d1495b" if name == OURS else "#9aa5b1" for name in values]
        axis.bar_label(axis.bar(list(values), list(values.values()), color=colors), fmt="%.2f")
        axis.margins(y=0.12)  # room for the label of the highest
        axis.set_title(title)
        axis.set_ylabel(unit)
        axis.tick_params(axis="x", labelrotation=20)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
