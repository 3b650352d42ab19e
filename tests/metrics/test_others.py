"""Novelty, the strict scores of built-in pictures, and sacrebleu."""

import json
import sys

import pytest

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def test_novelty_is_the_share_of_captions_not_in_training():
    metric = metrics.load("novelty")
    training = ["A dog runs.", "a cat sits ."]
    said = ["a dog runs", "a cat", "a cat sits", "a bird"]
    assert metric.compute(predictions=said, training=training, tokenizer="ptb", per_caption=True) == {
        "novelty": 0.5,
        "novelty_per_caption": [0.0, 1.0, 0.0, 1.0],
    }
    assert metric.compute(predictions=said, training=training) == {"novelty": 1.0}
    assert metric.compute(predictions=said, references=said, training=said) == {"novelty": 0.0}


def test_novelty_needs_training_captions():
    with pytest.raises(UsageError, match=r"training=\[\.\.\.\]"):
        metrics.load("novelty").compute(predictions=["a dog"])


OBJECTS = [
    json.dumps([{"shape": "ring", "color": "red", "place": "top left", "size": "small"}]),
    json.dumps(
        [
            {"shape": "star", "color": "blue", "place": "middle center"},
            {"shape": "heart", "color": "red", "place": "top left"},
        ]
    ),
]


@pytest.mark.parametrize(
    ("captions", "objects", "scene"),
    [
        (["a red ring in the top left", "a red heart and a blue star"], [1, 1], [1, 1]),
        (["a red ring in the top right", "a blue star"], [1, 0], [0, 0]),
        (["a large red ring", "a red heart below a blue star"], [1, 1], [0, 0]),
        (["", "a red heart , a blue star , a red ring"], [0, 0], [0, 0]),
    ],
)
def test_exact_scores(captions, objects, scene):
    for name, right in (("exact_objects", objects), ("exact_scene", scene)):
        scores = metrics.load(name).compute(predictions=captions, references=OBJECTS, per_caption=True)
        assert scores == {name: sum(right) / 2, f"{name}_per_caption": right}


def test_exact_scores_take_one_json_text_in_a_list():
    scores = metrics.load("exact_objects").compute(predictions=["a red ring"], references=[OBJECTS[:1]])
    assert scores == {"exact_objects": 1.0}


@pytest.mark.parametrize("text", ["a red ring", "[1]", '[{"shape": "ring"}]', None, 3, '{"shape": "ring"}'])
def test_exact_scores_explain_what_they_cannot_read(text):
    with pytest.raises(DataError, match="reference 0 is no JSON list of objects"):
        metrics.load("exact_scene").compute(predictions=["a red ring"], references=[text])


def test_sacrebleu_is_that_of_the_library():
    library = pytest.importorskip("sacrebleu")
    said, truth = ["a dog runs .", "the cat"], [["A dog runs.", "the dog ran ."], ["the cat sat"]]
    scores = metrics.load("sacrebleu").compute(predictions=said, references=truth, per_caption=True)
    expected = library.corpus_bleu(said, [["A dog runs.", "the cat sat"], ["the dog ran .", None]]).score
    assert scores["sacrebleu"] == pytest.approx(expected)
    assert scores["sacrebleu_per_caption"][1] == pytest.approx(library.sentence_bleu("the cat", truth[1]).score)


def test_sacrebleu_with_the_other_tokenizer():
    pytest.importorskip("sacrebleu")
    said, truth = ["A dog's ball, on the grass."], [["a dog 's ball on the grass"]]
    assert metrics.load("sacrebleu").compute(predictions=said, references=truth, tokenizer="ptb")[
        "sacrebleu"
    ] == pytest.approx(100)


def test_sacrebleu_names_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(UsageError, match=r'pip install "hfmm\[eval\]"'):
        metrics.load("sacrebleu").compute(predictions=["a"], references=[["a"]])
