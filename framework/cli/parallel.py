"""What the commands over the op registry share: names of ops, and work spread over processes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from .usage import UsageError


def at_least_one(text: str) -> int:
    """A number of things, from the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {number}")
    return number


def add_ops(parser: argparse.ArgumentParser) -> None:
    """Add what says which ops, and in how many processes: names, ``--import`` and ``--jobs``."""
    parser.add_argument("ops", nargs="*", metavar="OP", help="names of ops (default: all)")
    parser.add_argument(
        "--import", dest="module", metavar="MODULE", help="a module that registers more ops"
    )
    parser.add_argument(
        "--jobs",
        type=at_least_one,
        default=os.cpu_count() or 1,
        help="processes (default: one per core)",
    )


def chosen_ops(options: argparse.Namespace) -> list[str]:
    """The names of the ops asked for, after importing what registers more.

    Raises:
        UsageError: the module cannot be imported, or there is no such op.
    """
    if options.module is not None:
        sys.path.insert(0, os.getcwd())  # as for python -m
        try:
            importlib.import_module(options.module)
        except Exception as error:
            hint = ""
            if options.module.endswith(".py") or os.sep in options.module:
                dotted = options.module.removesuffix(".py").replace(os.sep, ".")
                hint = f" Name the module, not the file: --import {dotted}"
            raise UsageError(
                f"--import {options.module}: {type(error).__name__}: {error}.{hint}"
            ) from error
    return check_names(options.ops)


def check_names(names: list[str]) -> list[str]:
    """The names of ops asked for, or of all, in order.

    Raises:
        UsageError: there is no such op; suggests near names.
    """
    from ..autograd.tape import OPS
    from ..errors import unknown_name

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
