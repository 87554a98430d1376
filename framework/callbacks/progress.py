"""What `fit`, `evaluate` and `predict` show while they run: a bar for a person, lines for a file.

On a terminal or in a notebook a bar runs, and a finished epoch leaves one line in its place.
Anywhere else only that line is printed, so a log reads like the screen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

Logs = dict[str, Any]

#: Seconds between two redraws of a bar, and before a bar is drawn at all.
REDRAW, DELAY = 0.1, 0.2
#: ``Epoch 3/20 |██████      | 211/469 [00:01, loss: 0.1234]``: batches, and seconds to go.
BAR = "{desc} |{bar}| {n_fmt}/{total_fmt} [{remaining}{postfix}]"


def format_logs(logs: Logs) -> str:
    """``loss: 0.1234 - accuracy: 0.9712``; numbers below 0.001 as ``1.2e-04``."""
    return " - ".join(f"{name}: {_format(value)}" for name, value in logs.items())


def _format(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.4e}"


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


def _on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


class Progress:
    """One round of batches after the other, each shown as a bar or as nothing, and as a line.

    Args:
        verbose: 0, 1 or 2, see `gradtape.config.settings.check_verbose`.
    """

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self._bar: Any = None
        self._title = ""
        self._began = 0.0
        self._due = float("inf")
        self._pending = 0

    def begin(self, title: str, steps: int | None) -> None:
        """Start a round of `steps` batches, such as ``"Epoch 3/20"``."""
        self.close()
        self._title = title
        self._began = time.perf_counter()
        if self.verbose == 1 and (_on_terminal() or _in_notebook()):
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=steps,
                desc=title,
                file=sys.stdout,
                leave=False,
                delay=DELAY,
                mininterval=0,
                miniters=1,
                dynamic_ncols=True,
                bar_format=BAR if steps else None,
            )
            self._due = self._began + DELAY

    def step(self, logs: Callable[[], Logs]) -> None:
        """Count a batch. Draws at most ten times a second, and only then asks for the logs."""
        self._pending += 1
        if self._bar is None:
            return
        now = time.perf_counter()
        if now >= self._due:
            self._due = now + REDRAW
            self._bar.set_postfix_str(format_logs(logs()), refresh=False)
            self._bar.update(self._pending)
            self._pending = 0

    def note(self, text: str) -> None:
        """Show what happens after the last batch, such as ``"validating"``."""
        if self._bar is not None and time.perf_counter() >= self._began + DELAY:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(self._pending)
            self._pending = 0

    def end(self, logs: Logs) -> None:
        """Finish the round: ``Epoch 3/20 - 0.9s - loss: 0.1234``."""
        seconds = time.perf_counter() - self._began
        self.close()
        parts = [self._title, f"{seconds:.1f}s", *([format_logs(logs)] if logs else [])]
        self.say(" - ".join(parts))

    def say(self, line: str) -> None:
        """Print a line, unless silent."""
        if self.verbose:
            self.clear()
            print(line, flush=True)

    def clear(self) -> None:
        """Take the bar off the screen, until its next step."""
        if self._bar is not None and _on_terminal():
            self._bar.clear()

    def close(self) -> None:
        """Take the bar away for good."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._due = float("inf")
        self._pending = 0
