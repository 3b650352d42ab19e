"""Objectives of models that look at pictures and texts together: matching, masking and answering."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import hfmm
from hfmm.errors import UsageError
from hfmm.nn.pairs import score_all_pairs
from hfmm.training import objectives
from hfmm.training.objectives.base import StepContext
from tests.testing import seeded


def context():
    return StepContext(0, torch.Generator().manual_seed(0), lambda tensor: tensor, lambda module: module)


def turn_of(name, model, batch, settings=None, processor=None):
    objective = objectives.find(name)({"model": model}, settings=settings or {})
    objective.prepare(None, processor)
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
    class Fixed(nn.Module):
        def score_all(self, **inputs):
            return torch.tensor([[1.0, 5.0, 0.0], [5.0, 1.0, 0.0], [0.0, 0.0, 1.0]])

        def forward(self, **inputs):
            from hfmm.models.alignment.vilbert.modeling_vilbert import VilbertRetrievalOutput

            return VilbertRetrievalOutput(logits_per_image=self.score_all())

    batch = {"pixel_values": pictures(), **texts([[1, 5, 2], [1, 5, 2], [1, 6, 2]], 3), "example_ids": ["a", "b", "c"]}
    turn = turn_of("pair_matching", Fixed(), batch)
    wrong_left = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).log_softmax(-1)[:, 0].neg().sum()
    last = -torch.tensor([0.0, 0.0, 1.0]).log_softmax(-1)[2]
    torch.testing.assert_close(turn.loss, wrong_left + last)
    assert turn.log["top_1"] == 3


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
    with pytest.raises(UsageError, match="unknown key of objective masked_multimodal 'share'"):
        turn_of("masked_multimodal", nn.Identity(), pairs(), {"share": 0.5}, hfmm.create_processor("vilbert"))


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
