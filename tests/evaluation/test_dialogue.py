"""Scores of dialogues: exact answers, by kind of question, and what is right without seeing."""

import pytest

from hfmm import data, metrics
from hfmm.data.examples import ListExamples
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import Asked, dialogue, score_model
from hfmm.explanation.dialogue import GRAY, Talk, asked_of
from hfmm.models.generalist.llava.modeling_llava import LlavaV1ForConditionalGeneration
from tests.models.generalist import tiny_llava as tiny


def talks(size=6):
    return data.load("scenes:dialogue", split="test", size=size)


def key(talk):
    return str(talk.messages), talk.pictures[0].tobytes()


def answers(examples):
    return {key(talk): said for example in examples for talk, said in asked_of(example, [example["image"]])}


class Seeing:
    """Replies rightly, but to questions of one kind, and blindly says red."""

    def __init__(self, examples, never=()):
        self.right = answers(examples)
        for example in examples:
            for (talk, _), kind in zip(asked_of(example, [example["image"]]), example["kinds"], strict=True):
                if kind in never:
                    self.right[key(talk)] = "nothing"

    def __call__(self, model, processor, asked, **settings):
        return [self.right[key(talk)] if self.sees(talk) else "red" for talk in asked]

    @staticmethod
    def sees(talk):
        return any(picture.getcolors() != [(picture.width * picture.height, GRAY)] for picture in talk.pictures)


def scored(monkeypatch, seeing, examples):
    monkeypatch.setattr(dialogue, "reply", seeing)
    reader = tiny.processor()
    model = LlavaV1ForConditionalGeneration(tiny.config())
    return score_model("image-text-to-text", model, reader, examples, Asked())


def test_exact_answers_over_all_and_by_kind(monkeypatch):
    examples = talks(40)
    kinds = [kind for example in examples for kind in example["kinds"]]
    outcome = scored(monkeypatch, Seeing(examples, never=("count", "size_of_it")), examples)
    wrong = sum(kind in ("count", "size_of_it") for kind in kinds)
    assert outcome.scores["exact"] == pytest.approx(1 - wrong / len(kinds))
    by_kind = {name: value for name, value in outcome.scores.items() if name.startswith("exact_")}
    assert by_kind == {f"exact_{kind}": float(kind not in ("count", "size_of_it")) for kind in kinds}
    assert next(iter(outcome.scores)) == "exact"
    assert list(outcome.scores)[-1] == "blind"
    assert len(outcome.predictions) == len(outcome.examples) == 40


def test_what_is_right_without_seeing_stands_beside(monkeypatch):
    examples = talks(40)
    said = [answer for example in examples for _, answer in asked_of(example, [example["image"]])]
    assert scored(monkeypatch, Seeing(examples), examples).scores["blind"] == said.count("red") / len(said)


def test_a_blind_model_sees_gray():
    (picture,) = Talk([], [tiny.picture()]).blind().pictures
    assert picture.getcolors() == [(tiny.SIDE**2, GRAY)]


def test_every_answer_follows_the_right_ones_before_it():
    (first, said), (second, last) = asked_of({"id": 1, "messages": tiny.TWO_TURNS}, [tiny.picture()])
    assert (said, last) == ("red", "top left")
    assert first.messages == tiny.TWO_TURNS[:1]
    assert second.messages == tiny.TWO_TURNS[:3]
    assert len(second.pictures) == 1


def test_a_new_model_is_scored_as_it_speaks():
    examples = talks(3)
    reader = tiny.processor()
    outcome = score_model(
        "image-text-to-text", tiny.model(reader), reader, examples, Asked(generation={"max_new_tokens": 3})
    )
    assert 0 <= outcome.scores["exact"] <= 1
    assert len(outcome.predictions) == 3


def test_shares_of_two_processes_are_the_whole():
    examples = talks(4)
    rows = [row["id"] for part in (0, 1) for row in examples.shard(2, part)]
    assert sorted(rows) == sorted(row["id"] for row in examples)


def measured(monkeypatch, replies, features, rows, *names):
    monkeypatch.setattr(dialogue, "reply", lambda model, processor, asked, **settings: replies[: len(asked)])
    examples = ListExamples([{"image": tiny.picture(), **row} for row in rows], {"image": "image", **features})
    model = LlavaV1ForConditionalGeneration(tiny.config())
    return score_model("image-text-to-text", model, tiny.processor(), examples, Asked(names)).scores


ANSWERS = {"question": "text", "answer": "text"}


def test_answers_of_several_people_are_scored_as_vqa_does(monkeypatch):
    rows = [
        {"question": "where", "answer": "left", "answers": ["left", "left", "there"]},
        {"question": "what", "answer": "red"},
    ]
    scores = measured(monkeypatch, ["There", "red"], {**ANSWERS, "answers": "texts"}, rows, "vqa")
    assert scores == metrics.load("vqa").compute(
        predictions=["There", "red"], references=[["left", "left", "there"], ["red"]]
    )


def test_multiple_choice_answers_are_read(monkeypatch):
    rows = [{"question": "q", "answer": "The answer is B.", "right": 1}] * 2
    scores = measured(
        monkeypatch, ["So it is.\nThe answer is B.", "b"], {**ANSWERS, "right": "number"}, rows, "scienceqa_accuracy"
    )
    assert scores == {"accuracy": 0.5, "failed": 0.5}


def test_captions_are_scored_as_captions(monkeypatch):
    rows = [{"captions": ["a red circle", "a circle"]}, {"captions": ["a red circle"]}]
    scores = measured(monkeypatch, ["a red circle.", "a circle"], {"captions": "texts"}, rows, "caption")
    assert scores["bleu_1"] > 0.5
    assert "cider" in scores


def test_other_metrics_and_data_without_references_are_refused(monkeypatch):
    rows = [{"question": "where", "answer": "left"}]
    with pytest.raises(UsageError, match="unknown metric of a model that converses 'vqaa': did you mean 'vqa'"):
        measured(monkeypatch, ["left"], ANSWERS, rows, "vqaa")
    with pytest.raises(DataError, match="no column 'captions', which the metric caption needs"):
        measured(monkeypatch, ["left"], ANSWERS, rows, "caption")
