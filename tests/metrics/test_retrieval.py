"""Retrieval: ranks by hand, several captions a picture, ties against, and loops written again."""

import numpy as np
import pytest

from hfmm import metrics
from hfmm.errors import DataError
from hfmm.metrics import LOWER_IS_BETTER
from hfmm.metrics.retrieval import Retrieval, ranks


def compute(scores, captions):
    return metrics.load("retrieval").compute(predictions=scores, references=captions)


def test_by_hand():
    """Captions 0 and 1 are of picture 0, caption 2 is of picture 1."""
    found = compute([[0.9, 0.1, 0.5], [0.2, 0.8, 0.4]], [[0, 1], [2]])
    # picture 0: caption 0 is best, rank 1; picture 1: caption 2 after 1, rank 2
    assert found["image_to_text_r1"] == 0.5
    assert found["image_to_text_median_rank"] == found["image_to_text_mean_rank"] == 1.5
    # caption 0: 0.9 before 0.2, rank 1; caption 1: 0.1 after 0.8, rank 2; caption 2: 0.4 after 0.5, rank 2
    assert found["text_to_image_r1"] == pytest.approx(1 / 3)
    assert found["text_to_image_r5"] == found["text_to_image_r10"] == 1
    assert found["text_to_image_median_rank"] == 2
    assert found["text_to_image_mean_rank"] == pytest.approx(5 / 3)
    assert tuple(found) == Retrieval.keys


def test_ties_count_against():
    found = compute(np.zeros((4, 4)).tolist(), [0, 1, 2, 3])
    assert found["text_to_image_r1"] == found["image_to_text_r1"] == 0
    assert found["text_to_image_mean_rank"] == found["image_to_text_median_rank"] == 4


def test_other_captions_of_the_picture_are_not_in_the_way():
    """The best of picture 0's captions is first, though its others are better than all of picture 1's."""
    found = compute([[0.9, 0.8, 0.7, 0.1], [0.1, 0.1, 0.1, 0.9]], [[0, 1, 2], [3]])
    assert found["image_to_text_mean_rank"] == 1


def test_captions_of_no_picture_stand_in_the_way():
    found = compute([[0.5, 0.1, 0.9], [0.1, 0.5, 0.2]], [0, 1])
    assert found["image_to_text_mean_rank"] == 1.5
    assert found["text_to_image_mean_rank"] == 1


def test_a_caption_of_two_pictures_is_answered_by_either():
    assert ranks(np.array([[0.3, 0.9, 0.5]]), np.array([[True, False, True]])).tolist() == [2]


def by_loops(scores, captions):
    """Ranks written again, one comparison after the other."""
    to_text = []
    for row, own in zip(scores, captions, strict=True):
        best = max(row[caption] for caption in own)
        to_text.append(1 + sum(row[other] >= best for other in range(len(row)) if other not in own))
    to_image = []
    for picture, own in enumerate(captions):
        for caption in own:
            score = scores[picture][caption]
            to_image.append(1 + sum(r[caption] >= score for other, r in enumerate(scores) if other != picture))
    return to_text, to_image


@pytest.mark.parametrize("step", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_definition_written_again(seed, step):
    draw = np.random.default_rng(seed)
    counts = draw.integers(1, 6, 30)
    ends = counts.cumsum()
    captions = [list(range(end - count, end)) for end, count in zip(ends, counts, strict=True)]
    scores = draw.normal(size=(30, ends[-1]))
    scores = np.round(scores / step) * step if step else scores
    found = compute(scores.tolist(), captions)
    for direction, expected in zip(("image_to_text", "text_to_image"), by_loops(scores, captions), strict=True):
        for depth in (1, 5, 10):
            assert found[f"{direction}_r{depth}"] == pytest.approx(np.mean([rank <= depth for rank in expected]))
        assert found[f"{direction}_median_rank"] == np.median(expected)
        assert found[f"{direction}_mean_rank"] == pytest.approx(np.mean(expected))


def test_it_is_added_in_pieces_and_in_arrays():
    scores = np.random.default_rng(0).normal(size=(3, 3))
    metric = metrics.load("retrieval")
    for row in range(3):
        metric.add(prediction=scores[row], reference=row)
    assert metric.compute() == compute(scores.tolist(), [[0], [1], [2]])


def test_lower_ranks_are_better():
    assert {key for key in Retrieval.keys if key in LOWER_IS_BETTER} == {k for k in Retrieval.keys if "rank" in k}


@pytest.mark.parametrize(
    ("scores", "captions", "message"),
    [
        ([[0.1, "b"]], [0], "prediction 0 is not a list of numbers"),
        ([0.5], [0], "prediction 0 is not a list of numbers"),
        ([[0.1, float("nan")]], [0], "prediction 0 has a score that is not a number"),
        ([[0.1, 0.2], [0.1]], [0, 1], "pictures have 1 to 2 scores"),
        ([[0.1, 0.2]], [[]], "reference 0 is"),
        ([[0.1, 0.2]], [[-1]], "reference 0 is"),
        ([[0.1, 0.2]], [[2]], "a picture has caption 2, but there are scores of 2 captions"),
    ],
)
def test_what_cannot_be_scored_is_refused(scores, captions, message):
    with pytest.raises(DataError, match=message):
        compute(scores, captions)
