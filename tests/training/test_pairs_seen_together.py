"""Objectives of models that look at pictures and texts together: matching, masking and answering."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import hfmm
from hfmm.errors import UsageError
from hfmm.models.alignment.vilbert.modeling_vilbert import VilbertRetrievalOutput
from hfmm.nn.pairs import score_all_pairs, spread
from hfmm.training import objectives
from hfmm.training.objectives.base import StepContext
from tests.testing import seeded


def context():
    return StepContext(0, torch.Generator().manual_seed(0), lambda tensor: tensor, lambda module: module)


def turn_of(name, model, batch, settings=None, processor=None):
    objective = objectives.find(name)({"model": model}, settings=settings or {})
    objective.prepare(None, processor or WORDS)
    with seeded(3):
        (turn,) = objective.turns(batch, context())
    return turn


def texts(rows, pad):
    input_ids = torch.tensor(rows)
    return {"input_ids": input_ids, "attention_mask": (input_ids != pad).long()}


def made(architecture, **settings):
    with seeded():
        return hfmm.create_model(architecture, **settings).eval()


def pictures(count=3):
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def pairs(pad=3):  # of the words of both tiny tokenizers
    return {
        "pixel_values": pictures(), **texts([[1, 5, 6, 2], [1, 7, 2, pad], [1, 9, 8, 2]], pad),
        "example_ids": ["a", "b", "c"],
    }  # fmt: skip


class Fixed(nn.Module):
    """Scores that are given."""

    def __init__(self, scores):
        super().__init__()
        self.scores = torch.tensor(scores)

    def score_all(self, **inputs):
        return self.scores

    def forward(self, pairs, **inputs):
        images, texts = pairs
        found = spread(self.scores[images, texts], images, texts, self.scores.shape)
        return VilbertRetrievalOutput(logits_per_image=found)


WORDS = SimpleNamespace(tokenizer=SimpleNamespace(all_special_ids=[0, 1, 2, 3]))


@pytest.mark.parametrize("architecture", ["vilbert", "vilt"])
def test_matching_is_a_softmax_over_the_batch_both_ways(architecture):
    model, batch = made(architecture), pairs()
    turn = turn_of("pair_matching", model, batch)
    inputs = {name: value for name, value in batch.items() if name != "example_ids"}
    with seeded(3):
        scores = score_all_pairs(model, inputs)
    truth = torch.arange(3)
    torch.testing.assert_close(turn.loss, 3 * (cross_entropy(scores, truth) + cross_entropy(scores.T, truth)) / 2)
    assert turn.count == 3
    assert turn.log["top_1"] == (scores.argmax(1) == truth).sum()


def test_the_same_text_of_another_picture_is_not_wrong():
    batch = {"pixel_values": pictures(), **texts([[1, 5, 2], [1, 5, 2], [1, 6, 2]], 3), "example_ids": ["a", "b", "c"]}
    turn = turn_of("pair_matching", Fixed([[1.0, 5.0, 0.0], [5.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), batch)
    wrong_left = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).log_softmax(-1)[:, 0].neg().sum()
    last = -torch.tensor([0.0, 0.0, 1.0]).log_softmax(-1)[2]  # whose picture and text meet all
    torch.testing.assert_close(turn.loss, wrong_left + last)
    assert turn.log["top_1"] == 3


def test_near_texts_are_those_that_share_most_words():
    objective = objectives.find("pair_matching")({}, settings={"near": 1})
    objective.prepare(None, WORDS)
    input_ids = torch.tensor([[1, 5, 6, 2], [1, 7, 8, 2], [1, 5, 9, 2], [1, 8, 9, 2], [1, 8, 9, 2]])
    meeting = objective._meeting(input_ids)
    assert meeting.diagonal().all()
    assert meeting[0].tolist() == [True, False, True, False, False]
    assert meeting[1].sum() == 2
    assert meeting[1, 3:].any()  # which share one word each
    assert meeting[3].sum() == 2
    assert not meeting[3, 4]  # the same text is wrong for neither
    drawing = objectives.find("pair_matching")({}, settings={"near": 1, "others": 2})
    drawing.prepare(None, WORDS)
    with seeded():
        more = drawing._meeting(input_ids)
    assert (more | meeting == more).all()
    assert more.sum() > meeting.sum()


def test_only_pairs_that_meet_count():
    scores = [[1.0, 2.0, 9.0], [0.0, 1.0, 9.0], [9.0, 9.0, 1.0]]
    batch = {
        "pixel_values": pictures(),
        **texts([[1, 5, 6, 2], [1, 5, 7, 2], [1, 8, 9, 2]], 3),
        "example_ids": list("abc"),
    }
    objective_turn = turn_of("pair_matching", Fixed(scores), batch, {"near": 1})
    meets = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 0, 1]]).bool()  # nothing is near the third: the first comes first
    seen = torch.tensor(scores).masked_fill(~meets, -torch.inf)
    truth = torch.arange(3)
    expected = 3 * (cross_entropy(seen, truth) + cross_entropy(seen.T, truth)) / 2
    torch.testing.assert_close(objective_turn.loss, expected)


def test_half_of_the_pairs_get_another_text_and_nothing_else_is_learned_of_them():
    seen = []

    class Pretrained(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def detect(self, pixel_values):
            return self.model.detect(pixel_values)

        def forward(self, **inputs):
            seen.append(inputs)
            return self.model(**inputs)

    processor = hfmm.create_processor("vilbert")
    model = made("vilbert", preset="tiny_detected", auto="AutoModelForPreTraining")
    words = torch.arange(64)[:, None] % 20 + 5
    ids = torch.cat([torch.full((64, 1), 1), words, words + 1, torch.full((64, 1), 2)], 1)  # B 4
    batch = {"pixel_values": pictures(64), **texts(ids.tolist(), 3), "example_ids": [str(row) for row in range(64)]}
    turn = turn_of("masked_multimodal", Pretrained(model), batch, processor=processor)
    (given,) = seen
    unaligned = given["alignment_labels"] == 1
    assert 0.3 < unaligned.float().mean() < 0.7
    told = given["labels"] != -100
    assert told.any()
    assert not told[unaligned].any()
    assert not told[:, [0, 3]].any()  # start and end stay
    assert not given["masked_regions"][unaligned].any()
    kept = torch.where(told, given["labels"], given["input_ids"])
    assert torch.equal((kept != ids).any(1), unaligned)
    assert {"words", "regions", "alignment", "top_1"} == turn.log.keys()
    torch.testing.assert_close(turn.loss, sum(turn.log[name] for name in ("words", "regions", "alignment")))


def test_without_a_detector_no_region_is_masked():
    model = made("vilbert", auto="AutoModelForPreTraining")
    turn = turn_of("masked_multimodal", model, pairs(), processor=hfmm.create_processor("vilbert"))
    assert turn.log.keys() == {"words", "alignment", "top_1"}


def test_masking_needs_a_mask():
    processor = hfmm.create_processor("show_and_tell")
    with pytest.raises(UsageError, match="the tokenizer has no mask"):
        turn_of("masked_multimodal", nn.Identity(), pairs(), processor=processor)


@pytest.mark.parametrize("architecture", ["vilbert", "vilt"])
def test_answers_are_told_from_a_closed_list(architecture):
    names = dict(enumerate(("yes", "no", "red", "blue")))
    model = made(architecture, auto="AutoModelForVisualQuestionAnswering", id2label=names)
    batch = {**pairs(), "labels": torch.tensor([2, 0, 3])}
    turn = turn_of("answering", model, batch)
    inputs = {name: value for name, value in batch.items() if name not in ("labels", "example_ids")}
    with seeded(3):
        logits = model(**inputs).logits
    targets = torch.eye(4)[batch["labels"]]
    expected = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    torch.testing.assert_close(turn.loss, expected)
    assert turn.log["accuracy"] == (logits.argmax(-1) == batch["labels"]).sum()
