"""What reading a file may do: nothing but read that file, briefly, in little memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

#: Seconds, bytes beyond twice the size of the file, and the share of virtual memory for bombs.
SECONDS, MEMORY, CEILING = 2.0, 50 << 20, 3 << 30
#: Audit events (PEP 578) that no reading has to cause, by how their names begin.
FORBIDDEN = (
    "exec", "code.__new__", "import", "marshal.loads", "pickle.find_class",
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.",
    "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "ctypes.dlopen",
    "shutil.", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
    "os.chmod", "os.chown", "os.truncate", "os.utime", "os.putenv", "tempfile.", "sys.addaudithook",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TooSlow(BaseException):
    """The alarm; not an Exception, so that nobody takes it for damage."""


class Watch:
    """Watches one call after another for what it does beside returning.

    Args:
        folder: the only one from which files may be opened.
        allowed: events that are no violation, though forbidden otherwise.
    """

    def __init__(self, folder: Path, allowed: tuple[str, ...] = ()) -> None:
        self.folder = os.path.realpath(folder) + os.sep
        self.allowed = allowed
        self._on = False
        self._seen: list[str] = []
        sys.addaudithook(self._audit)
        resource.setrlimit(resource.RLIMIT_AS, (_virtual() + CEILING, resource.RLIM_INFINITY))
        signal.signal(signal.SIGALRM, _alarm)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            name = os.path.abspath(os.fsdecode(path))
            if not (name + os.sep).startswith(self.folder) or flags & _WRITES:
                self._seen.append(f"opened {name} with flags {flags:#x}")
        elif event.startswith(FORBIDDEN) and not event.startswith(self.allowed or ("?",)):
            self._seen.append(f"{event}{str(arguments)[:200]}")

    def run(
        self, call: Callable[[], Any], size: int
    ) -> tuple[Any, BaseException | None, list[str]]:
        """What `call` returned, what it raised, and what it did that it must not.

        Args:
            size: bytes of the file that it reads.
        """
        self._seen = []
        result, error = None, None
        before = _reset_peak()
        started = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 15 * SECONDS)
        self._on = True
        try:
            result = call()
        except BaseException as caught:
            error = caught
        finally:
            self._on = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.process_time() - started
        used = _peak() - before
        faults = self._seen
        if seconds > SECONDS or isinstance(error, TooSlow):
            faults.append(f"took {seconds:.1f} s of processor time")
        if used > 2 * size + MEMORY:
            faults.append(f"took {used >> 20} MB for a file of {size:,} bytes")
        return result, error, faults


def _alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _virtual() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _reset_peak() -> int:
    """Let the peak of resident memory begin at what is resident now, and return that."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    raise OSError("/proc/self/status has no VmHWM")
