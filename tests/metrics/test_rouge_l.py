"""ROUGE-L by hand, written again, and as coco-caption computes it."""

import math
import random

import pytest

from hfmm import metrics
from tests.metrics.peers import coco_scores
from tests.metrics.samples import VOCABULARY, awkward_samples, samples


def each(predictions, references):
    scores = metrics.load("rouge_l").compute(predictions=predictions, references=references, per_caption=True)
    assert math.isclose(scores["rouge_l"], sum(scores["rouge_l_per_caption"]) / len(predictions))
    return scores["rouge_l_per_caption"]


def test_by_hand():
    # common subsequence "a c": precision 2/3, recall 2/4
    expected = (1 + 1.2**2) * (2 / 3) * (2 / 4) / (2 / 4 + 1.2**2 * 2 / 3)
    assert each(["a b c"], [["a x c y"]]) == pytest.approx([expected])


def test_best_precision_and_best_recall_may_be_of_two_references():
    # "a b c d": precision 2/2, recall 2/4; "a": precision 1/2, recall 1
    assert each(["a b"], [["a b c d", "a"]]) == pytest.approx([1.0])


def restated(prediction, references, beta=1.2):
    said, precision, recall = prediction.split(" "), 0.0, 0.0
    for reference in references:
        truth = reference.split(" ")
        row = [0] * (len(truth) + 1)
        for word in said:
            above = row[:]
            for j, other in enumerate(truth):
                row[j + 1] = above[j] + 1 if word == other else max(above[j + 1], row[j])
        precision, recall = max(precision, row[-1] / len(said)), max(recall, row[-1] / len(truth))
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision) if precision and recall else 0.0


@pytest.mark.parametrize("longest", [3, 63, 64, 65, 200])
def test_written_again_for_captions_of_any_length(longest):
    predictions, references = samples(20, seed=longest, longest=longest)
    draw = random.Random(0)
    predictions += [" ".join(draw.choices(VOCABULARY, k=length)) for length in (1, longest)]
    references += [[" ".join(draw.choices(VOCABULARY, k=longest))], ["a dog"]]
    expected = [restated(text, texts) for text, texts in zip(predictions, references, strict=True)]
    assert each(predictions, references) == pytest.approx(expected)


@pytest.mark.parametrize("make", [samples, awkward_samples])
def test_as_in_coco_caption(make):
    predictions, references = make(300, seed=5)
    assert each(predictions, references) == pytest.approx(coco_scores(predictions, references)[1]["rouge_l"].tolist())


def test_an_empty_caption_is_one_empty_word():
    assert each(["", "", "a"], [[""], ["a dog"], [""]]) == [1.0, 0.0, 0.0]
