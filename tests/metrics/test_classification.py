"""Accuracy of classifiers, by hand."""

import pytest

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def compute(predictions, references, **options):
    return metrics.load("classification").compute(predictions=predictions, references=references, **options)


def test_the_likeliest_and_the_five_likeliest():
    scores = [[0.0, 6, 5, 4, 3, 2, 1]] * 4
    assert compute(scores, [1, 2, 5, 6]) == {"top_1": 0.25, "top_5": 0.75}
    found = compute(scores, [1, 2, 5, 6], per_caption=True)
    assert found["top_5_per_caption"] == [1, 1, 1, 0]


def test_few_classes_have_no_top_5_and_of_equal_scores_the_first_is_likelier():
    assert compute([[0.5, 0.5, 0], [0.5, 0.5, 0]], [0, 1]) == {"top_1": 0.5}


def test_mistakes_are_told():
    for predictions, references, message in (
        (["cat"], [0], "prediction 0 is not a list of numbers"),
        ([[0.1, 0.9]], ["cat"], "reference 0 is 'cat': give the number of a class"),
        ([[0.1, 0.9]], [2], "reference 0 is class 2, but there are 2 scores"),
        ([[0.1, 0.9]], [-1], "give the number of a class, from 0"),
    ):
        with pytest.raises(DataError, match=message):
            compute(predictions, references)
    with pytest.raises(UsageError, match="1 predictions but 2"):
        compute([[0.1, 0.9]], [0, 1])
