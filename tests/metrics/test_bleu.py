"""BLEU by hand, written again, and as coco-caption computes it."""

import math
from collections import Counter

import pytest

from hfmm import metrics
from tests.metrics.peers import coco_scores
from tests.metrics.samples import awkward_samples, samples

KEYS = ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]


def bleu(predictions, references, **options):
    return metrics.load("bleu").compute(predictions=predictions, references=references, **options)


def test_clipped_precision_by_hand():
    # "the" is at most twice in one reference: 2 of 7; the bigram "the the" is in none
    scores = bleu(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert math.isclose(scores["bleu_1"], 2 / 7, rel_tol=1e-6)
    assert scores["bleu_2"] < 1e-6


def test_brevity_penalty_by_hand():
    # 3 of 3 words are right, the closest reference has 5
    scores = bleu(["a b c"], [["a b c d e", "a b c d e f"]])
    assert math.isclose(scores["bleu_1"], math.exp(1 - 5 / 3), rel_tol=1e-6)
    scores = bleu(["a b c"], [["a b c d e", "a b c d e f"]], brevity_penalty=False)
    assert math.isclose(scores["bleu_1"], 1, rel_tol=1e-6)


def test_of_two_equally_close_lengths_the_shorter_counts():
    assert math.isclose(bleu(["a b c"], [["a b c d", "a b"]])["bleu_1"], 1, rel_tol=1e-6)


def restated(predictions, references, order, brevity_penalty):
    """Corpus BLEU with dictionaries."""
    logs = 0.0
    for n in range(1, order + 1):
        right = guessed = 0
        for prediction, texts in zip(predictions, references, strict=True):
            grams = [Counter(zip(*(text.split()[i:] for i in range(n)), strict=False)) for text in (prediction, *texts)]
            right += sum(min(times, max(truth[gram] for truth in grams[1:])) for gram, times in grams[0].items())
            guessed += sum(grams[0].values())
        logs += math.log((right + 1e-15) / (guessed + 1e-9)) / order
    said = [len(text.split()) for text in predictions]
    closest = [
        min((abs(len(text.split()) - length), len(text.split())) for text in texts)[1]
        for length, texts in zip(said, references, strict=True)
    ]
    penalty = min(0.0, 1 - sum(closest) / sum(said)) if brevity_penalty else 0.0
    return math.exp(logs + penalty)


@pytest.mark.parametrize("brevity_penalty", [True, False])
def test_written_again(brevity_penalty):
    predictions, references = samples(60, seed=1)
    scores = bleu(predictions, references, brevity_penalty=brevity_penalty)
    for order, key in enumerate(KEYS, 1):
        assert math.isclose(scores[key], restated(predictions, references, order, brevity_penalty), rel_tol=1e-6)


@pytest.mark.parametrize("make", [samples, awkward_samples])
def test_as_in_coco_caption(make):
    predictions, references = make(300, seed=2)
    total, each = coco_scores(predictions, references)
    scores = bleu(predictions, references, per_caption=True)
    for key in KEYS:
        assert math.isclose(scores[key], total[key], abs_tol=1e-12)
        assert scores[f"{key}_per_caption"] == pytest.approx(each[key], abs=1e-12)


def test_an_empty_prediction_scores_nothing():
    scores = bleu([""], [["a dog"]], per_caption=True)
    assert list(scores) == [*KEYS, *(f"{key}_per_caption" for key in KEYS)]
    assert all(scores[key] == 0 for key in KEYS)
