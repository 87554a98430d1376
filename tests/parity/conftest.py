"""``pytest tests/parity --keras-page docs/keras-parity.md`` writes that page from what passed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import gradtape as gt


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    """What a test draws does not depend on which tests ran before it."""
    gt.utils.set_random_seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keras-page", type=Path, help="write the page about Keras's names")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    path = session.config.getoption("--keras-page")
    if path is None or exitstatus != 0 or hasattr(session.config, "workerinput"):
        return  # a worker has run a part only
    from keras_vocabulary import counted, page

    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = [report.nodeid for report in reporter.stats.get("passed", ())]
    path.write_text(page(counted(passed)), encoding="utf-8")
