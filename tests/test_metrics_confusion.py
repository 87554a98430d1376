"""Counts at thresholds, and what is made of them, against sums written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray


@pytest.fixture
def data() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(5)
    p = rng.uniform(size=(40, 3)).astype(np.float32).round(2)
    p[0] = 0, 0.5, 1
    return rng.integers(0, 2, (40, 3)), p, rng.uniform(size=40)


@pytest.mark.parametrize("thresholds", [0.5, [0.7, 0.2], [0.0, 0.25, 0.5, 0.75, 1.0]], ids=str)
def test_counts_are_sums_over_both_sides_of_a_threshold(data: Any, thresholds: Any) -> None:
    y, p, w = data
    for weights in (None, w):
        each = np.ones(y.shape) if weights is None else np.broadcast_to(w[:, None], y.shape)
        for name, true, above in [
            ("TruePositives", 1, True),
            ("FalsePositives", 0, True),
            ("TrueNegatives", 0, False),
            ("FalseNegatives", 1, False),
        ]:
            metric = getattr(gt.metrics, name)(thresholds)
            metric.update_state(y[:15], p[:15], None if weights is None else w[:15])
            metric.update_state(y[15:], p[15:], None if weights is None else w[15:])
            expected = [
                (each * (y == true) * ((p > np.float32(t)) == above)).sum()
                for t in np.atleast_1d(thresholds)
            ]
            np.testing.assert_allclose(np.atleast_1d(metric.result()), expected)


def test_precision_and_recall_by_hand() -> None:
    y, p = np.array([1, 1, 1, 0]), np.array([0.9, 0.2, 0.8, 0.7])
    assert gt.metrics.Precision()(y, p) == pytest.approx(2 / 3)
    assert gt.metrics.Recall()(y, p) == pytest.approx(2 / 3)
    np.testing.assert_allclose(gt.metrics.Recall([0.1, 0.85])(y, p), [1, 1 / 3])
    assert gt.metrics.Precision()(np.zeros(2), np.zeros(2)) == 0


def test_top_k_and_class_id_choose_what_counts() -> None:
    y = np.array([[0, 1, 0], [1, 0, 0]])
    p = np.array([[0.1, 0.3, 0.2], [0.2, 0.5, 0.4]])
    assert gt.metrics.Precision(top_k=1)(y, p) == 0.5
    assert gt.metrics.Recall(top_k=2)(y, p) == 0.5
    assert gt.metrics.Recall(thresholds=0.25, class_id=1)(y, p) == 1.0
    assert gt.metrics.Precision(thresholds=0.25, class_id=1)(y, p) == 0.5
    with pytest.raises(gt.errors.ShapeError, match=r"class 3.*\(2, 3\)"):
        gt.metrics.Recall(class_id=3)(y, p)


def test_best_of_one_where_the_other_is_good_enough() -> None:
    y, p = np.array([0, 0, 0, 1, 1]), np.array([0.0, 0.3, 0.8, 0.3, 0.8])
    assert gt.metrics.SensitivityAtSpecificity(0.5)(y, p) == 0.5
    assert gt.metrics.SpecificityAtSensitivity(0.5)(y, p) == pytest.approx(2 / 3)
    assert gt.metrics.PrecisionAtRecall(0.8)(y, p) == 0.5
    assert gt.metrics.RecallAtPrecision(0.5)(y, p) == 1.0
    assert gt.metrics.RecallAtPrecision(0.9)(y, p) == 0.0
    with pytest.raises(ValueError, match="precision must be a number from 0 to 1, received 2"):
        gt.metrics.RecallAtPrecision(2)
    with pytest.raises(ValueError, match="num_thresholds must be a positive integer"):
        gt.metrics.RecallAtPrecision(0.2, num_thresholds=0)


def test_area_under_roc_is_the_share_of_pairs_in_order(data: Any) -> None:
    y, p, _ = data
    pairs = p[y == 1][:, None] - p[y == 0][None]
    exact = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert gt.metrics.AUC(num_thresholds=2001)(y, p) == pytest.approx(exact, abs=1e-9)
    columns = []
    for c in range(3):
        pairs = p[y[:, c] == 1, c][:, None] - p[y[:, c] == 0, c][None]
        columns.append(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    several = gt.metrics.AUC(2001, multi_label=True)
    assert several(y, p) == pytest.approx(np.mean(columns), abs=1e-9)
    heavy = gt.metrics.AUC(2001, multi_label=True, label_weights=[1, 0, 2])
    assert heavy(y, p) == pytest.approx((columns[0] + 2 * columns[2]) / 3, abs=1e-9)
    logits = np.log(np.clip(p, 1e-6, 1 - 1e-6) / (1 - np.clip(p, 1e-6, 1 - 1e-6)))
    whole = gt.metrics.AUC(2001, from_logits=True)(y, logits)
    assert whole == pytest.approx(exact, abs=2e-3)


def test_areas_by_hand() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0, 0.5, 0.3, 0.9])
    assert gt.metrics.AUC(num_thresholds=3)(y, p) == pytest.approx(0.75)
    for method, expected in [("minoring", 0.5), ("majoring", 1.0)]:
        area = gt.metrics.AUC(num_thresholds=3, summation_method=method)(y, p)
        assert area == pytest.approx(expected)
    assert gt.metrics.AUC(curve="PR")(np.array([1, 1]), np.array([0.2, 0.9])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"curve": "ROCK"}, "Unknown curve 'ROCK'.*'ROC'"),
        ({"summation_method": "mean"}, "Unknown summation_method 'mean'"),
        ({"num_thresholds": 1}, "at least 2, received 1"),
        ({"num_labels": 2}, "multi_label=True"),
    ],
)
def test_areas_refuse_other_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gt.metrics.AUC(**settings)


def test_shapes_and_thresholds_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="thresholds must be a number from 0 to 1"):
        gt.metrics.Precision([0.5, 2])
    with pytest.raises(gt.errors.ShapeError, match=r"Precision.*class numbers"):
        gt.metrics.Precision()(np.zeros(2), np.zeros((2, 3)))
    with pytest.raises(gt.errors.ShapeError, match=r"AUC: sample_weight of shape \(3,\)"):
        gt.metrics.AUC().update_state(np.zeros(2), np.zeros(2), np.zeros(3))
    with pytest.raises(gt.errors.ShapeError, match=r"\(N, 2\), received \(2, 3\)"):
        gt.metrics.AUC(multi_label=True, num_labels=2)(np.zeros((2, 3)), np.zeros((2, 3)))


def test_nan_is_above_no_threshold() -> None:
    y, p = np.array([1, 1]), np.array([np.nan, 0.9])
    for thresholds in (0.5, [0.0, 0.5, 1.0], [0.4, 0.5]):
        assert np.max(gt.metrics.TruePositives(thresholds)(y, p)) == 1
