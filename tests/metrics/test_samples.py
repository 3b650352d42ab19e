"""Metrics of samples: against independent restatements, by hand, and where the answer is known."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import entropy

from hfmm import metrics
from hfmm.errors import DataError, UsageError
from hfmm.metrics.frechet import frechet_distance
from hfmm.metrics.memorization import nearest


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def peer(samples, pictures):
    """Eq. 6 with a root of the product of covariances."""
    first, second = np.cov(samples, rowvar=False), np.cov(pictures, rowvar=False)
    gap = np.square(samples.mean(0) - pictures.mean(0)).sum()
    return gap + np.trace(first + second - 2 * sqrtm(first @ second).real)


def test_frechet_distance_is_that_of_a_matrix_root():
    mixed = normal(60, 8) @ normal(8, 8, seed=1) + 0.5
    for pictures in (normal(90, 8, seed=2), 3 * normal(40, 8, seed=3) - 1):
        assert frechet_distance(mixed, pictures) == pytest.approx(peer(mixed, pictures), rel=1e-8)


def test_frechet_distance_of_independent_features_by_hand():
    # the same distances on each axis: (m - n)^2 + (s - t)^2, summed
    samples = np.array([[-1.0, 5.0], [1.0, 5.0], [-1.0, 9.0], [1.0, 9.0]])
    pictures = np.array([[1.0, 6.0], [4.0, 6.0], [1.0, 7.0], [4.0, 7.0]])
    spread = math.sqrt(4 / 3)
    expected = 2.5**2 + (1 - 1.5) ** 2 * spread**2 + 0.5**2 + (2 - 0.5) ** 2 * spread**2
    assert frechet_distance(samples, pictures) == pytest.approx(expected)


def test_frechet_distance_of_few_samples_with_many_features():
    samples, pictures = normal(5, 40), normal(7, 40, seed=1)
    assert frechet_distance(samples, pictures) == pytest.approx(peer(samples, pictures), rel=1e-3)
    assert frechet_distance(samples, samples) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(samples, samples + 1) == pytest.approx(40)


def test_frechet_distance_names_the_network():
    given = {"predictions": normal(9, 3).tolist(), "references": normal(12, 3, seed=1)}
    plain = metrics.load("frechet_distance").compute(**given)
    named = metrics.load("frechet_distance").compute(**given, network="lenet5")
    assert (list(plain), list(named)) == (["frechet"], ["frechet_lenet5"])
    assert plain["frechet"] == named["frechet_lenet5"] == frechet_distance(normal(9, 3), normal(12, 3, seed=1))


def probabilities(count, classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=count)


def test_inception_score_is_that_of_scipy():
    rows = probabilities(50, 4)
    expected = math.exp(entropy(rows, rows.mean(0)[None], axis=1).mean())
    assert metrics.load("inception_score").compute(predictions=rows) == {
        "inception_type_score": pytest.approx(expected)
    }


@pytest.mark.parametrize(("rows", "score"), [(np.eye(5), 5.0), (np.full((5, 5), 0.2), 1.0), (np.eye(5)[[0, 0]], 1.0)])
def test_inception_score_is_the_number_of_classes_drawn_without_doubt(rows, score):
    assert metrics.load("inception_score").compute(predictions=rows)["inception_type_score"] == pytest.approx(score)


def test_recognized_samples_by_hand():
    rows = [[0.95, 0.05, 0.0], [0.9, 0.1, 0.0], [0.1, 0.89, 0.01], [0.5, 0.3, 0.2]]
    found = metrics.load("recognized_samples").compute(predictions=rows, per_class=True)
    assert found == {"recognized": 0.5, "rarest_class": 0, "commonest_class": 0.75, "class_shares": [0.75, 0.25, 0]}
    assert metrics.load("recognized_samples").compute(predictions=rows, confidence=0.5)["recognized"] == 1


def test_nearest_is_that_of_all_distances():
    rows, others = normal(20, 6), normal(50, 6, seed=1)
    others[40] = rows[3]
    distances = np.linalg.norm(rows[:, None] - others[None], axis=-1)
    where, far = nearest(rows, np.array_split(others, 7))
    assert where.tolist() == distances.argmin(1).tolist()
    np.testing.assert_allclose(far, distances.min(1))
    assert far[3] == 0


def test_memorization_tells_copies_from_new_pictures():
    training, held_out, new = normal(400, 5), normal(1000, 5, seed=1), normal(1000, 5, seed=2)
    scores = {"references": training, "held_out": held_out}
    copies = metrics.load("memorization").compute(predictions=training[:50], **scores)
    fresh = metrics.load("memorization").compute(predictions=new, **scores)
    assert copies == {"nearest_ratio": 0, "copied": 1}
    assert fresh["nearest_ratio"] == pytest.approx(1, abs=0.05)
    assert fresh["copied"] == pytest.approx(0.01, abs=0.01)


def test_generation_is_all_of_them_in_one_pass():
    given = {"predictions": normal(9, 3), "references": normal(12, 3, seed=1)}
    seen = probabilities(9, 4)
    found = metrics.load("generation").compute(**given, probabilities=seen, network="lenet5")
    expected = metrics.load("frechet_distance").compute(**given, network="lenet5")
    expected |= metrics.load("inception_score").compute(predictions=seen)
    expected |= metrics.load("recognized_samples").compute(predictions=seen)
    assert found == expected
    assert list(metrics.load("generation").compute(**given)) == ["frechet"]
    generator = np.random.default_rng(2)
    pictures, others = generator.integers(0, 256, (2, 3, 12, 14), dtype=np.uint8)
    mended = metrics.load("generation").compute(**given, reconstructions=list(others), originals=list(pictures))
    both = metrics.load("reconstruction").compute(predictions=list(others), references=list(pictures))
    assert mended == {"frechet": mended["frechet"], **both}
    with pytest.raises(UsageError, match="give both, or none"):
        metrics.load("generation").compute(**given, originals=list(pictures))
    with pytest.raises(DataError, match="3 pictures cannot be compared with 2"):
        metrics.load("generation").compute(**given, reconstructions=list(others), originals=list(pictures[:2]))


def test_less_of_a_distance_is_better():
    assert [metrics.lower_is_better(key) for key in ("frechet_lenet5", "copied", "recognized")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("frechet_distance", {"predictions": [[1, 2], [3]], "references": [[1, 2]]}, "predictions have 1 to 2 numbers"),
        ("frechet_distance", {"predictions": [[1, 2]] * 2, "references": [[1]] * 2}, "have 2 numbers but references 1"),
        ("frechet_distance", {"predictions": [[1, 2]], "references": [[1, 2]]}, "at least two samples"),
        ("frechet_distance", {"predictions": [["a"]], "references": [[1]]}, "prediction 0 is not a list of numbers"),
        ("frechet_distance", {"predictions": [[1.0]], "references": [[math.nan]]}, "reference 0 is not a list of numb"),
        ("inception_score", {"predictions": [[0.5, 0.4]]}, "prediction 0 is not a list of probabilities that add up"),
        ("recognized_samples", {"predictions": [[1.5, -0.5]]}, "prediction 0 is not a list of probabilities"),
        ("memorization", {"predictions": [[1.0]], "references": [[1.0]]}, "give held_out"),
    ],
)
def test_mistakes_are_named(name, given, message):
    with pytest.raises((DataError, UsageError), match=message):
        metrics.load(name).compute(**given)
