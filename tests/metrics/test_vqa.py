"""VQA's accuracy by hand."""

import pytest

from hfmm import metrics
from hfmm.metrics.vqa import soft_accuracy


def test_four_of_ten_people_make_an_answer_right():
    assert soft_accuracy("red", ["red"] * 4 + ["blue"] * 6) == 1
    # three said it: left out one of them, two are left, and seven times all three
    assert soft_accuracy("red", ["red"] * 3 + ["blue"] * 7) == pytest.approx((3 * 2 / 3 + 7) / 10)
    assert soft_accuracy("red", ["red"] + ["blue"] * 9) == pytest.approx(9 * (1 / 3) / 10)
    assert soft_accuracy("green", ["red"] * 10) == 0


def test_of_one_or_two_people_any_is_right():
    assert soft_accuracy("red", ["red"]) == soft_accuracy("red", ["blue", "red"]) == 1
    assert soft_accuracy("green", ["blue", "red"]) == 0


def test_exact_is_what_most_people_said():
    scores = metrics.load("vqa").compute(
        predictions=["Red", "two", "no"], references=[["red"], ["three", "two", "three"], ["yes"]]
    )
    assert scores["exact"] == pytest.approx(1 / 3)
    assert scores["accuracy"] == pytest.approx((1 + (1 * 0 + 2 / 3) / 3) / 3)
