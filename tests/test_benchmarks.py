"""The benchmarks run, in their cheapest configuration, and say what they should."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import all as everything
from benchmarks import (
    fit_epoch,
    memory,
    nets,
    predict,
    report,
    scaling,
    startup,
    tables,
    time_to_accuracy,
    train_step,
)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`report.alone` without the second that a process takes to start."""

    def alone(module: str, environment: Any = None, **settings: Any) -> Any:
        try:
            return importlib.import_module(module).measure(**settings)
        except ImportError as error:
            return {"missing": f"not installed ({error.name})"}

    monkeypatch.setattr(report, "alone", alone)
    monkeypatch.setenv("KERAS_BACKEND", "none")  # put back afterwards


def _results(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())["results"]


def test_train_step_reports_medians(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path), "--threads", "1"]
    train_step.main(["--peers", "", "--batch", "16", "--seconds", "0.1", *out])
    ours = _results(tmp_path, "train_step")[0]["contestants"]["gradtape"]
    assert ours["median_ms"] > 0 and len(ours["first_losses"]) == 50
    assert ours["first_losses"][-1] < ours["first_losses"][0]
    assert "at the measured peak" in capsys.readouterr().out


@pytest.mark.usefixtures("in_this_process")
def test_resnet20_is_trained_from_its_list(tmp_path: Path) -> None:
    given = ["--peers", "", "--nets", "resnet20", "--batch", "2", "--losses", "2"]
    train_step.main([*given, "--seconds", "0.01", "--threads", "1", "--out", str(tmp_path)])
    losses = _results(tmp_path, "train_step")[0]["contestants"]["gradtape"]["first_losses"]
    assert len(losses) == 2 and np.isfinite(losses).all()


def test_every_net_has_the_weights_that_its_list_says() -> None:
    """Peers build theirs from the list; ours of ResNet-20 is the zoo's."""
    for name in nets.BATCHES:
        (*_, channels), layers = nets.NETS[name]
        trained, moving = nets.split(name, nets.initial_weights(name))
        shapes: list[tuple[int, ...]] = []
        for kind, *given in nets.unfolded(layers):
            if kind == "normalized":
                shapes += [(3, 3, channels, given[0]), (given[0],), (given[0],)]
                channels = given[0]
        if shapes:
            assert [w.shape for w in trained[:-2]] == shapes
            assert [w.shape for w in moving] == [s for s in shapes if len(s) == 1]
        own = nets.gradtape_net(name)
        assert sum(w.size for w in trained) == sum(v.size for v in own.trainable_variables)
        assert len(trained) + len(moving) == len(own.weights)


def test_multiplications_of_resnet20() -> None:
    """40.55 million a forward pass, as the literature counts; no gradient of the images."""
    first, rest = 32 * 32 * 27 * 16, 32 * 32 * 9 * 16 * 16
    halves = 2 * (rest // 2 + 5 * rest)
    assert first + 6 * rest + halves + 640 == 40_551_040
    assert train_step.multiplications("resnet20") == 2 * (3 * 40_551_040 - first)


@pytest.mark.usefixtures("in_this_process")
def test_fit_epoch_says_which_back_end_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--backends", "nonesuch", "--samples", "256", "--epochs", "2", "--runs", "1"]
    fit_epoch.main([*given, "--out", str(tmp_path)])
    found = _results(tmp_path, "fit_epoch")
    assert found["gradtape"]["epoch"] > 0
    assert found["keras-nonesuch"] == {"missing": "not installed (nonesuch)"}
    assert "not installed (nonesuch)" in capsys.readouterr().out


def test_memory_counts_more_than_the_parameters(tmp_path: Path) -> None:
    memory.main(["--peers", "", "--nets", "lenet5", "--steps", "2", "--out", str(tmp_path)])
    ours = _results(tmp_path, "memory")["lenet5, batch 128"]["gradtape"]
    assert ours["above"] > 61_706 * 4 / 2**20 and ours["imported"] > 10


def test_startup_times_import_and_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def seconds(code: str, **environment: str) -> float | None:
        started.append((code, *environment))
        return None if "jax" in code else float(len(code))

    monkeypatch.setattr(startup, "seconds", seconds)
    startup.main(["--peers", "jax", "--runs", "1", "--out", str(tmp_path)])
    found = _results(tmp_path, "startup")
    assert found["jax"] == {"missing": "not installed (jax)"}
    ours = found["gradtape"]
    assert ours["interpreter"] < ours["import"] < ours["first_step"] == ours["cold_step"]
    assert [code for code, *environment in started if environment == ["NUMBA_CACHE_DIR"]] == [
        startup._STEP.format(make="Gradtape", threads=os.cpu_count())
    ]


def test_a_process_is_timed_as_a_whole() -> None:
    taken = startup.seconds("import time; time.sleep(0.05)")
    assert taken is not None and taken > 0.05
    assert startup.seconds("import nonesuch") is None
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        startup.seconds("1 / 0")


@pytest.mark.usefixtures("in_this_process")
def test_scaling_compares_thread_counts(tmp_path: Path) -> None:
    given = ["--peers", "", "--batches", "16", "--images", "16", "--depths", "1"]
    scaling.main([*given, "--seconds", "0.05", "--losses", "1", "--out", str(tmp_path)])
    report_ = json.loads((tmp_path / "scaling.json").read_text())
    assert len(report_["results"]) == 6
    assert set(report_["speed_ups"]) == {
        "lenet5, batch 16",
        "image_16, batch 32",
        "depth_1, batch 32",
    }


def test_ratio_is_to_the_best_peer() -> None:
    found = {"gradtape": {"ms": 2.0}, "a": {"ms": 8.0}, "b": {"ms": 4.0}, "c": {"missing": "no"}}
    assert report.ratio(found, "ms") == ("b", 0.5)
    assert report.ratio({"gradtape": {"ms": 2.0}}, "ms") is None


def test_medians_keep_what_is_missing() -> None:
    assert report.medians([{"s": 1.0}, {"s": 5.0}, {"s": 2.0}]) == {"s": 2.0}
    assert report.medians([{"missing": "x"}, {"s": 1.0}]) == {"missing": "x"}


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        report.alone("benchmarks.startup", contestant="nobody", threads=1)


@pytest.mark.usefixtures("in_this_process")
def test_predict_times_samples(tmp_path: Path) -> None:
    given = ["--peers", "", "--nets", "lenet5", "--seconds", "0.05", "--threads", "1"]
    predict.main([*given, "--out", str(tmp_path)])
    assert _results(tmp_path, "predict")["lenet5"]["gradtape"]["us_a_sample"] > 0


@pytest.mark.usefixtures("in_this_process")
def test_time_to_accuracy_counts_from_the_start_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.zeros((64, 28, 28, 1), np.float32), np.arange(64) % 2
    monkeypatch.setattr(time_to_accuracy, "_data", lambda goal: ((x, y), (x, y)))
    goals = {"easy": (0.4, 32, 0.002), "hard": (1.0, 32, 0.002)}
    monkeypatch.setattr(time_to_accuracy, "GOALS", goals)
    given = ["--backends", "nonesuch", "--epochs", "2"]
    time_to_accuracy.main([*given, "--out", str(tmp_path)])
    found = _results(tmp_path, "time_to_accuracy")
    assert found["easy"]["gradtape"]["seconds"] > 0
    assert found["easy"]["gradtape"]["accuracy"] == 0.5
    assert found["hard"]["gradtape"] == {"missing": "accuracy 0.500 after 2 epochs"}
    assert found["easy"]["keras-nonesuch"] == {"missing": "not installed (nonesuch)"}


def test_bars_are_judged() -> None:
    assert tables.verdict(0.2, 0.5, 0.3) == "aim reached"
    assert tables.verdict(0.4, 0.5, 0.3) == "reached"
    assert tables.verdict(0.6, 0.5, 0.3) == "**missed**"
    assert tables.verdict(1.8, 1.7, 1.9, larger=True) == "reached"


def test_tables_of_the_page_come_from_the_figures(tmp_path: Path) -> None:
    """Those of docs/performance.md are what its figures give; other figures give others."""
    figures = json.loads(everything.FIGURES.read_text())
    page = tmp_path / "page.md"
    page.write_text(everything.PAGE.read_text())
    tables.renew(page, figures)
    assert page.read_text() == everything.PAGE.read_text()
    found = {"gradtape": {"above": 3.0}, "torch": {"above": 4.0}}
    tables.renew(page, {"memory": {**_RUN, "results": {"vgg_small, batch 64": found}}})
    line = "| peak memory of vgg_small, batch 64, MB | 1 | 0.6 | 0.75 (3 against 4 of torch) |"
    assert f"{line} reached |" in page.read_text()
    page.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        tables.renew(page, {})


_RUN = {"date": "today", "machine": "this one", "cores": 2, "seconds": 1}
