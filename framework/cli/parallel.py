"""What the commands over the op registry share: names of ops, and work spread over processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any

from .usage import UsageError


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--jobs``."""
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )


def check_names(names: list[str]) -> list[str]:
    """The names of ops asked for, or of all, in order.

    Raises:
        UsageError: there is no such op; suggests near names.
    """
    from ..errors import unknown_name
    from ..tape import OPS

    for name in names:
        if name not in OPS:
            raise UsageError(unknown_name("op", name, OPS))
    return sorted(names or OPS)


def in_processes(
    work: Callable[[str], Any], names: list[str], options: argparse.Namespace
) -> Iterator[Any]:
    """``work(name)`` for each name, in order, in several processes where they can be forked."""
    if options.jobs < 2 or len(names) < 2 or not hasattr(os, "fork"):
        yield from map(work, names)
        return
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        yield from pool.imap(work, names)
