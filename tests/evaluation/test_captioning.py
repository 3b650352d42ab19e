"""Scoring captioners: every example once, deck numbers beside ours, and what `hfmm evaluate` adds."""

import json

import pytest

import hfmm
from hfmm import evaluation
from hfmm.data.examples import ListExamples
from hfmm.errors import UsageError
from hfmm.evaluation import captioning
from hfmm.results import add_result, read_results, reported

ROW = {
    "data": "flickr8k_1k", "split": "test", "examples": 100, "metrics": {"bleu_1": 0.5}, "how": "hfmm evaluate",
    "architecture": "show_attend_tell", "preset": "tiny", "seed": 0, "steps": 10, "hardware": "a processor",
}  # fmt: skip


@pytest.fixture(scope="module")
def captioner():
    return hfmm.create_model("show_attend_tell").eval(), hfmm.create_processor("show_attend_tell")


def test_every_example_is_captioned_once_and_in_order(captioner):
    model, processor = captioner
    examples = hfmm.load_data("scenes", split="test").select(range(7))
    captions, read = captioning.caption(model, processor, examples, batch_size=3, num_beams=1, max_new_tokens=5)
    assert len(captions) == 7
    assert [example["id"] for example in read] == [example["id"] for example in examples]
    single = [
        captioning.caption(model, processor, examples.select([row]), num_beams=1, max_new_tokens=5)[0][0]
        for row in range(7)
    ]
    assert captions == single


def test_shares_of_processes_cover_every_example(captioner):
    examples = hfmm.load_data("scenes", split="test").select(range(7))
    ids = [example["id"] for index in range(3) for example in examples.shard(3, index)]
    assert sorted(ids) == sorted(example["id"] for example in examples)


def test_right_captions_score_full():
    examples = [hfmm.load_data("scenes", split="test")[row] for row in range(20)]
    scores = captioning.score([example["captions"][0] for example in examples], examples)
    assert scores["exact_objects"] == scores["exact_scene"] == scores["rouge_l"] == 1.0
    assert scores["bleu_4"] == pytest.approx(1.0, abs=1e-6)


def test_strict_scores_need_objects():
    examples = [{"captions": ["a dog runs"]}]
    assert "exact_objects" not in captioning.score(["a dog runs"], examples)


def test_novelty_needs_and_takes_training_captions():
    examples = [{"captions": ["a dog"]}, {"captions": ["a cat"]}]
    scores = captioning.score(["a dog", "a bird"], examples, names=["novelty"], training=["A dog."])
    assert scores == {"novelty": 0.5}


def test_deck_numbers_stand_beside_by_data_and_preset():
    assert reported("show_attend_tell", "flickr8k_1k", "tiny")["deck"]["bleu_4"] == 0.195
    assert reported("show_attend_tell", "flickr8k_1k", "hard")["deck"]["bleu_4"] == 0.213
    assert reported("show_attend_tell", "scenes", "tiny") == {}


def test_same_measurement_again_replaces_the_older(tmp_path):
    add_result(tmp_path, ROW)
    add_result(tmp_path, {**ROW, "split": "validation"})
    rows = add_result(tmp_path, {**ROW, "metrics": {"bleu_1": 0.6}})
    assert rows == read_results(tmp_path) == json.loads((tmp_path / "results.json").read_text())
    assert [(row["split"], row["metrics"]["bleu_1"]) for row in rows] == [("validation", 0.5), ("test", 0.6)]
    assert rows[-1]["deck"]["bleu_1"] == 0.67


def test_unknown_early_stopping_metric_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'bleu_4'"):
        evaluation.chosen({"bleu_4": 0.1, "cider": 0.2}, "blue_4")


def test_tasks_without_a_scorer_are_told():
    examples = ListExamples([], {"image": "image"})
    with pytest.raises(UsageError, match="no scorer"):
        evaluation.score_model("routing", None, None, examples, evaluation.Asked())
