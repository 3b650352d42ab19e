"""CIDEr by hand, written again from its definition, and as coco-caption computes it."""

import math
from collections import Counter

import numpy as np
import pytest

from hfmm import metrics
from tests.metrics.peers import coco_scores
from tests.metrics.samples import awkward_samples, samples


def compute(name, predictions, references, **options):
    return metrics.load(name).compute(predictions=predictions, references=references, **options)


def test_by_hand():
    # Two pictures, one reference each, no common word: every n-gram weighs log 2. The first prediction is its
    # reference, all four similarities 1; the second shares nothing with its own.
    scores = compute("cider", ["a b c d", "e f g h"], [["a b c d"], ["i j k l"]], per_caption=True)
    assert scores["cider_per_caption"] == pytest.approx([10, 0])
    assert math.isclose(scores["cider"], 5)


def test_length_penalty_by_hand():
    # Unigrams: one shared word of the prediction's one and the reference's four, all weighing log 2: cosine 1/2. No
    # other n-gram. The lengths differ by 3 words: exp(-9 / 72).
    scores = compute("cider_d", ["a", "x"], [["a b c d"], ["y"]], per_caption=True)
    assert math.isclose(scores["cider_d_per_caption"][0], 10 / 4 * 0.5 * math.exp(-9 / 72))


def test_clipping_by_hand():
    # The prediction says "a" three times, the reference once and "b" once: min(3, 1) * 1 / (3 * sqrt 2) for unigrams.
    scores = compute("cider_d", ["a a a", "x"], [["a b"], ["y"]], per_caption=True)
    assert math.isclose(scores["cider_d_per_caption"][0], 10 / 4 / (3 * math.sqrt(2)) * math.exp(-1 / 72))


def restated(predictions, references, sigma=6.0):
    """CIDEr-D of each prediction with dictionaries: Vedantam et al., CVPR 2015, section 3 and the part on CIDEr-D."""

    def grams(text, n):
        return Counter(zip(*(text.split()[i:] for i in range(n)), strict=False))

    def rarity(gram):
        return math.log(len(predictions) / max(1, documents[gram]))

    scores = np.zeros(len(predictions))
    for n in (1, 2, 3, 4):
        documents = Counter(gram for texts in references for gram in {g for text in texts for g in grams(text, n)})
        for picture, texts in enumerate(references):
            captions = (predictions[picture], *texts)
            vectors = [{gram: times * rarity(gram) for gram, times in grams(text, n).items()} for text in captions]
            said, norms = vectors[0], [math.sqrt(sum(x * x for x in vector.values())) for vector in vectors]
            for text, truth, norm in zip(texts, vectors[1:], norms[1:], strict=True):
                product = sum(min(said[gram], x) * x for gram, x in truth.items() if gram in said)
                gap = len(predictions[picture].split()) - len(text.split())
                if norm * norms[0] > 0:
                    scores[picture] += product / (norm * norms[0]) * math.exp(-(gap**2) / (2 * sigma**2)) / len(texts)
    return 10 * scores / 4


@pytest.mark.parametrize("make", [samples, awkward_samples])
def test_written_again(make):
    predictions, references = make(50, seed=3)
    scores = compute("cider_d", predictions, references, per_caption=True)
    assert scores["cider_d_per_caption"] == pytest.approx(restated(predictions, references), abs=1e-12)
    assert math.isclose(scores["cider_d"], restated(predictions, references).mean())


@pytest.mark.parametrize("make", [samples, awkward_samples])
@pytest.mark.parametrize("name", ["cider", "cider_d"])
def test_as_in_coco_caption(name, make):
    predictions, references = make(300, seed=4)
    total, each = coco_scores(predictions, references)
    scores = compute(name, predictions, references, per_caption=True)
    assert scores[f"{name}_per_caption"] == pytest.approx(each["cider"].tolist(), abs=1e-12)
    assert math.isclose(scores[name], total["cider"], abs_tol=1e-12)


def test_with_one_picture_every_word_is_common():
    assert compute("cider", ["a dog"], [["a dog"]]) == {"cider": 0.0}


def test_what_only_the_prediction_says_weighs_as_a_rare_word():
    with_new, without = (compute("cider_d", [text, "x"], [["a b"], ["y"]])["cider_d"] for text in ("a b q", "a b"))
    assert 0 < with_new < without
