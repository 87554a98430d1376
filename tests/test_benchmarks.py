"""The benchmarks run, in their cheapest configuration, and say what they should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fit_epoch, memory, report, scaling, startup, train_step


def _results(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())["results"]


def test_train_step_reports_medians(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path), "--threads", "1"]
    train_step.main(["--peers", "", "--batch", "16", "--seconds", "0.1", *out])
    ours = _results(tmp_path, "train_step")[0]["contestants"]["gradtape"]
    assert ours["median_ms"] > 0 and len(ours["first_losses"]) == 50
    assert ours["first_losses"][-1] < ours["first_losses"][0]
    assert "at the measured peak" in capsys.readouterr().out


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


def test_startup_times_import_and_first_step(tmp_path: Path) -> None:
    startup.main(["--peers", "", "--runs", "1", "--no-cold", "--out", str(tmp_path)])
    ours = _results(tmp_path, "startup")["gradtape"]
    assert 0 < ours["interpreter"] < ours["first_step"] and "cold_step" not in ours


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
