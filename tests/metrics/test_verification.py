"""Verification: by hand, by loops, and equal to scikit-learn's ROC."""

import itertools

import numpy as np
import pytest

from hfmm import metrics
from hfmm.errors import DataError
from hfmm.metrics.verification import all_pairs, folds_of, roc


def compute(similarities, same):
    return metrics.load("verification").compute(predictions=list(similarities), references=list(same))


def pairs(count=400, seed=0, step=0.0, shift=1.0):
    """Similarities of pairs, a quarter of them of one person; on a grid where ties are wanted."""
    draw = np.random.default_rng(seed)
    same = draw.random(count) < 0.25
    similarities = draw.normal(0, 1, count) + shift * same
    return np.round(similarities / step) * step if step else similarities, same


def test_perfect_similarities():
    found = compute([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [1, 1, 1, 0, 0, 0])
    assert found["accuracy"] == found["auc"] == found["val"] == 1
    assert found["eer"] == found["accuracy_error"] == 0
    assert 0.3 < found["eer_threshold"] <= 0.7


def test_the_lfw_protocol_on_a_toy_set():
    """Fold one is 0.9 and 0.5, judged by 0.45 between 0.8 and 0.1: half right. Fold two is judged by 0.7: all right."""
    assert folds_of(np.array([1, 1, 0, 0], bool)).tolist() == [0, 1, 0, 1]
    found = compute([0.9, 0.8, 0.5, 0.1], [1, 1, 0, 0])
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["accuracy_error"] == pytest.approx(0.25)  # deviation of 0.5 and 1 over the root of two


def test_folds_are_those_of_the_lfw_pairs():
    """Ten times 300 pairs of one person and then 300 of two: each block is a fold."""
    same = np.tile(np.repeat([True, False], 300), 10)
    assert folds_of(same).tolist() == np.repeat(np.arange(10), 600).tolist()


def by_loops(similarities, same, folds=10):
    """The protocol written again: the threshold of nine folds is used on the tenth."""
    kinds = [[row for row in range(len(same)) if same[row] == kind] for kind in (True, False)]
    parts = [
        [row for rows in kinds for place, row in enumerate(rows) if place * folds // len(rows) == fold]
        for fold in range(folds)
    ]
    accuracies = []
    for fold, part in enumerate(parts):
        others = [row for number, rows in enumerate(parts) for row in rows if number != fold]
        values = sorted({similarities[row] for row in others}, reverse=True)
        thresholds = [np.inf] + [(a + b) / 2 for a, b in itertools.pairwise(values)] + values[-1:]
        right = [sum((similarities[row] >= limit) == same[row] for row in others) for limit in thresholds]
        best = thresholds[int(np.argmax(right))]
        accuracies.append(np.mean([(similarities[row] >= best) == same[row] for row in part]))
    return np.mean(accuracies), np.std(accuracies, ddof=1) / folds**0.5


@pytest.mark.parametrize("step", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_the_protocol_written_again(seed, step):
    similarities, same = pairs(seed=seed, step=step)
    found = compute(similarities, same)
    mean, error = by_loops(similarities, same)
    assert found["accuracy"] == pytest.approx(mean)
    assert found["accuracy_error"] == pytest.approx(error)


@pytest.mark.parametrize("step", [0.0, 0.25])
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0, -1.0])
def test_the_curve_is_that_of_scikit_learn(shift, step):
    scikit = pytest.importorskip("sklearn.metrics")
    similarities, same = pairs(step=step, shift=shift)
    found = compute(similarities, same)
    false, true, thresholds = scikit.roc_curve(same, similarities, drop_intermediate=False)
    curve = roc(similarities, same)
    np.testing.assert_allclose(curve.false_accepts, false)
    np.testing.assert_allclose(curve.true_accepts, true)
    np.testing.assert_allclose(curve.thresholds, thresholds)
    assert found["auc"] == pytest.approx(scikit.roc_auc_score(same, similarities))
    grid = np.linspace(0, 1, 200_001)
    crossing = grid[np.argmin(np.abs(1 - grid - np.interp(grid, false, true)))]
    assert found["eer"] == pytest.approx(crossing, abs=1e-2 if step else 1e-4)


def test_equal_error_by_hand():
    """At 0.6 one of four others is accepted and one of four same is refused."""
    found = compute([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.2, 0.1], [1, 1, 1, 1, 0, 0, 0, 0])
    assert found["eer"] == pytest.approx(0.25)
    assert found["eer_threshold"] == 0.6


def test_val_is_read_where_one_in_a_thousand_others_is_accepted():
    """The nine folds' limit lies above all others but one of a thousand."""
    others = np.linspace(0, 0.5, 2000)
    others[::200] = 0.7  # one a fold, nine of 1,800 in nine folds: one of them may be accepted, and none is alone
    same = np.tile([0.6, 0.8], 100)
    found = compute(np.concatenate([same, others]), [1] * 200 + [0] * 2000)
    assert found["val"] == pytest.approx(0.5)
    assert compute(np.concatenate([same, np.linspace(0, 0.5, 2000)]), [1] * 200 + [0] * 2000)["val"] == 1


def test_every_two_pictures_are_a_pair():
    points = np.eye(3)[[0, 0, 1]]
    similarities, same = all_pairs(points, [5, 5, 6])
    assert similarities.tolist() == [1, 0, 0]
    assert same.tolist() == [True, False, False]


def test_pairs_that_cannot_be_scored_are_refused():
    with pytest.raises(DataError, match="at least two pairs of one person and two of different"):
        compute([0.1, 0.2, 0.3], [1, 0, 0])
    with pytest.raises(DataError, match="reference 1 is 2: give 1 for the same person, 0 for two"):
        compute([0.1, 0.2], [1, 2])
    with pytest.raises(DataError, match="prediction 0 is nan"):
        compute([float("nan"), 0.2], [1, 0])
