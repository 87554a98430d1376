"""``gradtape gradcheck``: check the gradient of every registered op, and print the table."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .parallel import add_ops, at_least_one, chosen_ops, in_processes
from .usage import UsageError

if TYPE_CHECKING:
    from ..proof.proof import Report

ASPECTS = ("order 1", "order 2", "jvp", "adjoint", "float32")


def add_parser(subparsers: Any) -> None:
    """Add the command ``gradcheck`` to the command line."""
    parser = subparsers.add_parser(
        "gradcheck",
        help="check the gradient of every op numerically",
        description="Check every gradient rule against numerical differences in float64, with "
        "random cotangents; pushing forward against pulling back; float32 against float64. "
        "Exits with 1 if any op fails.",
    )
    parser.add_argument(
        "--order", type=int, choices=(1, 2), default=2, help="highest order checked (default: 2)"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        help="only the numerical checks (float64) or only those of precision (float32)",
    )
    parser.add_argument("--report", metavar="FILE.md", help="also write the table as Markdown")
    parser.add_argument(
        "--thin",
        type=at_least_one,
        default=1,
        metavar="N",
        help="take only one sample in N (default: all)",
    )
    add_ops(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, print a row per op as it is done, and return the exit code."""
    from ..proof.proof import prove

    names = chosen_ops(options)
    if options.report is not None:
        page = Path(options.report)
        if page.is_dir() or not page.resolve().parent.is_dir():
            raise UsageError(f"--report {page}: no file can be written there.")
    dtypes = (options.dtype,) if options.dtype else ("float64", "float32")
    proof = partial(prove, order=options.order, dtypes=dtypes, thinning=options.thin)
    started, reports = time.perf_counter(), []
    heads = "".join(f"{aspect:>9}" for aspect in ASPECTS)
    print(f"{'op':<28}{'cases':>6}{heads}  closest to its bar", flush=True)
    for report in in_processes(proof, names, options):
        reports.append(report)
        errors = "".join(f"{_error(report, aspect, '-'):>9}" for aspect in ASPECTS)
        print(f"{report.name:<28}{report.cases:>6}{errors}  {_where(report)}", flush=True)
    failed = [r.name for r in reports if not r.passed]
    verdict = (
        f"FAILED: {', '.join(failed)}"
        if failed
        else "Every gradient rule agrees, on all its samples."
    )
    print(_total(reports, time.perf_counter() - started))
    print(verdict)
    if options.report:
        _write(options.report, reports, verdict)
    return 1 if failed else 0


def _error(report: Report, aspect: str, missing: str) -> str:
    finding = report.findings.get(aspect)
    return f"{finding.error:.1e}" if finding else missing


def _where(report: Report) -> str:
    if not report.passed:
        return f"FAILED {', '.join(report.failed)} {report.where} {report.failure}"
    return report.where or ("no gradient" if not report.findings else "")


def _total(reports: list[Report], seconds: float) -> str:
    from statistics import median

    from ..proof.differences import ATOL, RTOL
    from ..proof.proof import LINEAR_RTOL

    cases = [r.cases for r in reports]
    return (
        f"{counted(len(reports), 'op')}, {counted(sum(cases), 'case')} "
        f"(per op: at least {min(cases)}, median "
        f"{median(cases):.0f}) in {seconds:.0f} s. Relative error allowed: {RTOL:.0e} "
        f"(linear ops {LINEAR_RTOL:.0e}) beside {ATOL:.0e} absolute."
    )


def _summary(op: Any) -> str:
    return (op.__doc__ or "").strip().partition("\n")[0].replace("|", "\\|")


def _write(path: str, reports: list[Report], verdict: str) -> None:
    """The table as Markdown, with what each column means."""
    from .. import __version__
    from ..autograd.tape import OPS
    from ..proof import proof

    rows = [
        f"| `{r.name}` | {_summary(OPS[r.name])} | {r.cases} | "
        + " | ".join(_error(r, aspect, "") for aspect in ASPECTS)
        + f" | {'yes' if r.passed else '**no**'} |"
        for r in reports
    ]
    text = "\n".join(
        [
            "# Every gradient rule, checked numerically",
            "",
            f"Written by `python -m gradtape gradcheck --report {path}`, gradtape {__version__}.",
            _total(reports, 0).replace(" in 0 s", ""),
            verdict,
            "",
            "Each column is the worst error over all cases; that of float32 is in units of the",
            "allowed one. " + (proof.__doc__ or "").split("\n\n", 1)[0],
            "",
            (proof.__doc__ or "").split("\n\n", 1)[1].strip(),
            "",
            "| op | | cases | " + " | ".join(ASPECTS) + " | passed |",
            "|---|---|---|" + "---|" * len(ASPECTS) + "---|",
            *rows,
            "",
        ]
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
