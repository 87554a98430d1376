"""F-scores and intersection over union against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt

Y = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
P = np.array([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])


def test_f_scores_by_hand() -> None:
    precision, recall = np.array([1, 2 / 3, 1 / 2]), np.array([1 / 3, 1, 1])
    for beta in (1.0, 2.0):
        each = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
        by_class = gt.metrics.FBetaScore(beta=beta, threshold=0.5)(Y, P)
        np.testing.assert_allclose(by_class, each, atol=1e-6)
        macro = gt.metrics.FBetaScore("macro", beta, 0.5)(Y, P)
        assert macro == pytest.approx(each.mean(), abs=1e-6)
        weighted = gt.metrics.FBetaScore("weighted", beta, 0.5)(Y, P)
        assert weighted == pytest.approx((each * [3, 2, 1]).sum() / 6, abs=1e-6)
    assert gt.metrics.F1Score("micro", 0.5)(Y, P) == pytest.approx(2 * 4 / (2 * 4 + 2 + 2))


def test_f_score_without_threshold_takes_the_largest_of_each_row() -> None:
    score = gt.metrics.F1Score()(np.eye(2)[[0, 1, 1]], np.array([[0.4, 0.3], [0.2, 0.1], [0, 1]]))
    np.testing.assert_allclose(score, [2 / 3, 2 / 3], atol=1e-6)
    metric = gt.metrics.F1Score("micro", 0.5)
    metric.update_state(Y, P, np.array([1.0, 0.0, 0.0]))
    assert metric.result() == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(
    "settings", [{"average": "all"}, {"beta": 0.0}, {"threshold": 0.0}, {"threshold": 1.5}], ids=str
)
def test_f_score_refuses_other_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(settings.values())))):
        gt.metrics.FBetaScore(**settings)  # type: ignore[arg-type]
    with pytest.raises(gt.errors.ShapeError, match=r"\(N, classes\), received \(2,\)"):
        gt.metrics.F1Score()(np.zeros(2), np.zeros(2))


def test_intersection_over_union_by_hand() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert gt.metrics.IoU(2, [0])(y, p) == pytest.approx(1 / 3)
    assert gt.metrics.MeanIoU(2)(y, p) == pytest.approx(1 / 3)
    weighted = gt.metrics.IoU(2, [0], dtype="float32")
    weighted.update_state(y, p, np.array([0.3, 0.3, 0.3, 0.1]))
    assert weighted.result() == pytest.approx(0.3 / 0.9)
    assert gt.metrics.MeanIoU(3)(y, p) == pytest.approx(1 / 3)  # a class that never was: not in it
    assert gt.metrics.BinaryIoU(threshold=0.3)(y, np.array([0.1, 0.2, 0.4, 0.7])) == (
        pytest.approx(1)
    )
    soft = np.array([[0.2, 0.8], [0.9, 0.1]])
    assert gt.metrics.OneHotMeanIoU(2)(np.eye(2)[[1, 1]], soft) == pytest.approx(0.25)
    assert gt.metrics.OneHotIoU(2, [1])(np.eye(2)[[1, 1]], soft) == pytest.approx(0.5)


def test_images_of_labels_with_edges_ignored() -> None:
    rng = np.random.default_rng(2)
    y, p = rng.integers(0, 3, (2, 4, 5)), rng.uniform(size=(2, 4, 5, 3))
    y[:, 0] = 255
    metric = gt.metrics.MeanIoU(3, ignore_class=255, sparse_y_pred=False)
    metric.update_state(y[:1], p[:1])
    metric.update_state(y[1:], p[1:])
    best, there = p.argmax(-1), y != 255
    overlaps = [
        ((y == c) & (best == c)).sum() / (there & ((y == c) | (best == c))).sum() for c in range(3)
    ]
    assert metric.result() == pytest.approx(np.mean(overlaps))


def test_what_does_not_fit_suggests_the_setting() -> None:
    y, p = np.zeros((2, 4), int), np.zeros((2, 4, 3))
    with pytest.raises(gt.errors.ShapeError, match=r"\(2, 4, 3\).*sparse_y_pred=False"):
        gt.metrics.MeanIoU(3)(y, p)
    with pytest.raises(gt.errors.ShapeError, match="sparse_y_true=False"):
        gt.metrics.MeanIoU(3)(p, y)
    with pytest.raises(ValueError, match=r"0\.\.2, received 3"):
        gt.metrics.IoU(3, [3])
    with pytest.warns(UserWarning, match="cuts weights off"):
        gt.metrics.MeanIoU(3).update_state(y, y, np.full((2, 4), 0.5))
