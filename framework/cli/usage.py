"""What a command raises when the request makes no sense."""

from __future__ import annotations


class UsageError(Exception):
    """What the user asked for cannot be done; the message says why, in one line if it can."""
