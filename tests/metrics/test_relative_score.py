"""Relative score by hand."""

import pytest

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def test_hand_example():
    found = metrics.load("relative_score").compute(predictions=[6, 9], references=[8, 9])
    assert found == {"relative_score": pytest.approx(100 * 15 / 17)}
    assert round(found["relative_score"], 1) == 88.2  # the mean of the ratios would be 87.5


def test_by_category():
    found = metrics.load("relative_score").compute(
        predictions=[6, 9, 4], references=[8, 9, 5], categories=["detail", "conv", "detail"]
    )
    assert found == {
        "relative_score": pytest.approx(100 * 19 / 22),
        "relative_score_conv": 100,
        "relative_score_detail": pytest.approx(100 * 10 / 13),
    }


@pytest.mark.parametrize("score", [-1, float("nan"), "8", True, None])
def test_what_is_no_score_is_refused(score):
    with pytest.raises(DataError, match=r"prediction 1 is .*: a judge's score is a number, not below 0"):
        metrics.load("relative_score").compute(predictions=[6, score], references=[8, 9])
    with pytest.raises(DataError, match="reference 1 is"):
        metrics.load("relative_score").compute(predictions=[6, 6], references=[8, score])


def test_refusals():
    with pytest.raises(UsageError, match="2 predictions but 1 categories"):
        metrics.load("relative_score").compute(predictions=[6, 9], references=[8, 9], categories=["conv"])
    with pytest.raises(DataError, match="the reference answers all have the score 0"):
        metrics.load("relative_score").compute(predictions=[6], references=[0])
