"""``gradtape mutants``: break every gradient rule, and count what the proof notices."""

from __future__ import annotations

import argparse
import time
from typing import Any

from .parallel import add_ops, chosen_ops, in_processes
from .usage import UsageError


def add_parser(subparsers: Any) -> None:
    """Add the command ``mutants`` to the command line."""
    parser = subparsers.add_parser(
        "mutants",
        help="check the checker: break every gradient rule and see whether it is noticed",
        description="Break every gradient rule in many small ways and run the proof of its op. "
        "Exits with 1 if one is not noticed.",
    )
    add_ops(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make and judge the mutants, print the summary, and return the exit code."""
    from ..proof.gradcheck import GradientError
    from ..proof.mutants import judge, summary

    started = time.perf_counter()
    names = chosen_ops(options)
    try:
        mutants = [m for found in in_processes(judge, names, options) for m in found]
    except GradientError as error:
        raise UsageError(str(error)) from error
    print(summary(mutants))
    print(f"{time.perf_counter() - started:.0f} s")
    survived = sum(m.verdict == "survived" for m in mutants)
    counted = survived + sum(m.verdict == "killed" for m in mutants)
    if not counted:
        raise UsageError(f"There is no gradient rule to break in {', '.join(names)}.")
    return 1 if survived else 0
