"""ScienceQA's accuracy: what a reply is read as, and the two ensembles by their table of cases."""

import pytest

from hfmm import metrics
from hfmm.errors import DataError, UsageError
from hfmm.metrics.scienceqa_accuracy import complement, disputed, judged, read_choice, verdicts_of

A, B, C, E, FAILED = 0, 1, 2, 4, None


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("B", B),
        (" B\n", FAILED),  # the newline becomes a period first, as released
        (" B ", B),
        ("C. It is a mammal.", C),
        ("A\nBecause it is cold.", A),
        ("A.", FAILED),
        ("(A)", FAILED),
        ("b", FAILED),
        ("F", FAILED),
        ("AB", FAILED),
        ("", FAILED),
        ("A dog. The answer is B.", B),
        ("LECTURE: ...\nThe answer is E.", E),
        ("The answer is C", C),
        ("The answer is Apple? The answer is B.", B),  # one with a period is preferred
        ("The answer is Apple", A),  # and one without takes any letter
        ("B. The answer is C.", B),
        ("the answer is C.", FAILED),
        ("The answer is F.", FAILED),
        ("FAILED", FAILED),
    ],
)
def test_replies_are_read_as_released(reply, choice):
    assert read_choice(reply) == choice


def test_failed_replies_are_wrong():
    found = metrics.load("scienceqa_accuracy").compute(
        predictions=["A", "The answer is B.", "it is hot", "C. Ice"], references=[0, 1, 0, 3]
    )
    assert found == {"accuracy": 0.5, "failed": 0.25}


@pytest.mark.parametrize(
    ("own", "other", "of_complement", "asked", "verdict", "of_judge"),
    [
        (A, A, A, False, None, A),
        (A, B, B, True, "A", A),
        (A, B, B, True, "The answer is C.", C),  # the judge may take neither
        (A, B, B, True, "cannot tell", FAILED),
        (A, FAILED, A, True, "A", A),
        (FAILED, B, B, True, "B", B),
        (FAILED, FAILED, FAILED, False, None, FAILED),
        (A, A, A, False, "B", A),  # a verdict that nobody asked for
    ],
)
def test_ensembles(own, other, of_complement, asked, verdict, of_judge):
    assert complement([own], [other]) == [of_complement]
    assert disputed([own], [other]) == ([0] if asked else [])
    assert judged([own], [other], [verdict]) == [of_judge]


def test_ensembles_are_scored_beside_the_models():
    own, other = ["A", "A", "B", "what?"], ["A", "B", "?", "The answer is C."]
    asked = []

    def judge(number):
        asked.append(number)
        return "B"

    verdicts = verdicts_of(own, other, judge)
    assert asked == [1, 2, 3]
    assert verdicts == [None, "B", "B", "B"]
    found = metrics.load("scienceqa_accuracy").compute(
        predictions=own, references=[0, 1, 1, 2], others=other, verdicts=verdicts
    )
    assert found == {
        "accuracy": 0.5,
        "failed": 0.25,
        "other_accuracy": 0.75,
        "complement_accuracy": 1.0,
        "judge_accuracy": 0.75,
    }


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"references": ["A"]}, DataError, "reference 0 is 'A': give the number of the right choice, 0 for A"),
        ({"references": [5]}, DataError, "reference 0 is 5"),
        ({"references": [True]}, DataError, "reference 0 is True"),
        ({"references": [0], "others": ["A", "B"]}, UsageError, "1 predictions but 2 others"),
        ({"references": [0], "verdicts": ["A"]}, UsageError, r"give the replies of the second as others=\[...\]"),
        ({"references": [0], "others": ["B"], "verdicts": [None]}, DataError, "question 0 .* has no verdict"),
    ],
)
def test_refusals(given, error, message):
    with pytest.raises(error, match=message):
        metrics.load("scienceqa_accuracy").compute(predictions=["A"], **given)
