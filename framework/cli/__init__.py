"""The command line: ``gradtape COMMAND``, or ``python -m gradtape COMMAND``.

A command is a file here with ``add_parser(subparsers)``, which sets ``run``, a function of the
parsed arguments that returns the exit code. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from . import evaluate, gradcheck, mutants, train, warmup
from .train import INTERRUPTED
from .usage import UsageError

COMMANDS = (train, evaluate, gradcheck, mutants, warmup)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's arguments) names.

    Returns:
        The exit code: 0, 2 for a request that makes no sense, 130 after Ctrl-C, or the command's.
    """
    parser = argparse.ArgumentParser(
        prog="gradtape",
        description="Train small convolutional nets, and check every gradient.",
    )
    parser.add_argument("--version", action="version", version=f"gradtape {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except UsageError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
