"""Print the oldest versions that setup.cfg allows of what gradtape uses, as constraints for pip."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path


def oldest(setup: Path) -> list[str]:
    """Of each requirement ``name>=version``, ``name==version``; tools for tests may be new."""
    parsed = ConfigParser()
    parsed.read(setup, encoding="utf-8")
    extras = parsed["options.extras_require"]
    lists = parsed["options"]["install_requires"], extras["plot"], extras["image"]
    return [line.replace(">=", "==") for text in lists for line in text.split()]


if __name__ == "__main__":
    print("\n".join(oldest(Path(__file__).parents[1] / "setup.cfg")))
