"""Structured joint embedding: sizes and loss, equation by equation; the shared contract comes from ModelTests."""

import pytest
import torch

from hfmm import factory
from hfmm.models.alignment.char_cnn_rnn.modeling_char_cnn_rnn import (
    CharCnnRnnModel,
    class_means,
    classify,
    structured_loss,
)
from hfmm.models.alignment.char_cnn_rnn.processing_char_cnn_rnn import CharCnnRnnProcessor
from tests.models.alignment.tiny_char_cnn_rnn import JOINT, config, joint, random, sentences
from tests.testing import ModelTests
from tests.testing_hub import Bundles
from tests.testing_pairs import EmbedsPairs, ProcessesPairs


class TestCharCnnRnn(EmbedsPairs, ModelTests, ProcessesPairs, Bundles):
    architecture = "char_cnn_rnn"
    model_class = CharCnnRnnModel
    processor_class = CharCnnRnnProcessor
    overfit_learning_rate = 3e-3

    def config(self):
        return config()

    def inputs(self):
        return {"pixel_values": random(3, 3, 16, 16), **sentences(), "return_loss": torch.tensor(True)}


class TestGated(TestCharCnnRnn):
    """The text encoder of GAN-CLS."""

    def config(self):
        return config(cell="gru", pool_strides=[3])


class TestWords(TestCharCnnRnn):
    """The word-level variant."""

    def config(self):
        return config(reads="words", conv_kernel_size=3, max_length=30, pad_token_id=3)

    def inputs(self):
        inputs = super().inputs()
        inputs["input_ids"] = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, 3)
        return inputs

    def processor(self):
        return CharCnnRnnProcessor.from_corpus(self.captions(), image_size=16, level="word", max_length=30)


# Sizes --------------------------------------------------------------------------------------------------------------


def on_meta(preset):
    with torch.device("meta"):
        return CharCnnRnnModel(factory.create_config("char_cnn_rnn", preset))


@pytest.mark.parametrize(
    ("preset", "lengths", "count"),
    [
        ("paper", [201, 198, 66, 63, 21, 18, 8], 1_814_144),
        ("gan", [201, 198, 66, 63, 21, 18], 4_045_184),
    ],
)
def test_lengths_and_parameters_are_the_released_encoder_s(preset, lengths, count):
    model = on_meta(preset)
    assert model.config.lengths == lengths
    assert sum(weight.numel() for weight in model.text_encoder.parameters()) == count
    seen = []
    model.text_encoder.recurrent.register_forward_hook(lambda part, given, states: seen.append(states.shape))
    ids = torch.ones(2, 201, dtype=torch.long, device="meta")
    assert model.get_text_features(ids).pooler_output.shape == (2, 1024)
    assert seen == [(2, lengths[-1], model.config.conv_channels[-1])]


def test_pictures_of_the_paper_are_googlenet_s_pooled_features():
    model = on_meta("paper")
    assert model.config.vision_config.model_type == "hfmm_googlenet"
    assert model.image_tower.feature_size == 1024
    features = random(2, 1024)
    assert model.get_image_features(image_features=features).pooler_output is features


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"project_image": False}, "pictures have 24 features but projection_size is 12"),
        ({"max_length": 10}, "no step for the recurrent net"),
        ({"pad_token_id": 72}, "no such word"),
    ],
)
def test_fields_that_disagree_are_told(overrides, line):
    with pytest.raises(Exception, match=line):
        config(**overrides)


def test_frozen_for_a_generator_it_has_no_gradient_and_passes_none():
    model = joint().requires_grad_(False)
    embeds = model.get_text_features(**sentences()).pooler_output
    assert not embeds.requires_grad
    noise = torch.randn(3, JOINT, requires_grad=True)
    (noise * embeds).sum().backward()
    assert torch.equal(noise.grad, embeds)
    assert all(weight.grad is None for weight in model.parameters())


# Loss ---------------------------------------------------------------------------------------------------------------


def test_the_loss_is_zero_where_every_match_leads_by_one():
    scores = torch.full((4, 4), -1.0)
    scores.diagonal().fill_(0.0)
    for surrogate in ("sum", "max"):
        assert structured_loss(scores, surrogate) == 0
        assert structured_loss(scores + 0.1 * torch.eye(4).roll(1, 0), surrogate) > 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_constant_scores_cost_the_share_of_wrong_classes(count):
    one_way = structured_loss(torch.full((count, count), 0.7), symmetric=False)
    assert one_way.item() == pytest.approx((count - 1) / count)  # B (B - 1) / B^2
    assert structured_loss(torch.full((count, count), 0.7)).item() == pytest.approx(2 * (count - 1) / count)


@pytest.mark.parametrize("surrogate", ["sum", "max"])
def test_the_structured_loss_equals_two_loops(surrogate):
    scores, total = random(5, 5, dtype=torch.double), 0.0
    for pair in range(5):
        for direction in (scores[pair], scores[:, pair]):
            hinges = [max(0.0, direction[other] - scores[pair, pair] + 1) for other in range(5) if other != pair]
            total += sum(hinges) / 25 if surrogate == "sum" else max(hinges) / 5
    torch.testing.assert_close(structured_loss(scores, surrogate), total)


@pytest.mark.parametrize("surrogate", ["sum", "max"])
def test_pictures_and_sentences_may_change_places(surrogate):
    scores = random(6, 6)
    torch.testing.assert_close(structured_loss(scores, surrogate), structured_loss(scores.T, surrogate))
    assert structured_loss(scores, surrogate, symmetric=False) != structured_loss(scores.T, surrogate, symmetric=False)


def test_the_gradient_is_the_released_code_s():
    """By hand: a violated term pushes the picture from the wrong sentence towards its own, and the sentences apart."""
    pictures, texts = random(5, 3), random(5, 3, seed=1)
    picture_grad, text_grad = torch.zeros(5, 3), torch.zeros(5, 3)
    for i in range(5):
        for j in set(range(5)) - {i}:
            if pictures[i] @ texts[j] - pictures[i] @ texts[i] + 1 > 0:  # l_v
                picture_grad[i] += texts[j] - texts[i]  # txt_diff
                text_grad[j] += pictures[i]
                text_grad[i] -= pictures[i]
            if pictures[j] @ texts[i] - pictures[i] @ texts[i] + 1 > 0:  # l_t
                text_grad[i] += pictures[j] - pictures[i]  # img_diff
                picture_grad[j] += texts[i]
                picture_grad[i] -= texts[i]
    joint().pair_loss(pictures.requires_grad_(), texts.requires_grad_()).backward()
    torch.testing.assert_close(pictures.grad, picture_grad / 25)
    torch.testing.assert_close(texts.grad, text_grad / 25)


def test_the_model_s_loss_follows_its_configuration():
    pictures, texts = random(4, JOINT), random(4, JOINT, seed=1)
    one_way = joint(symmetric=False, surrogate="max").pair_loss(pictures, texts)
    torch.testing.assert_close(one_way, structured_loss(pictures @ texts.T, "max", symmetric=False))


@pytest.mark.parametrize("surrogate", ["sum", "max"])
def test_the_hinge_bounds_the_mistakes(surrogate):
    """With one sentence a class the 0-1 loss is the mean over pairs of being wrong; a sum is B times a mean over B."""
    for seed in range(20):
        scores = random(6, 6, seed=seed)
        wrong = sum((scores.argmax(axis) != torch.arange(6)).float().mean() for axis in range(2))
        bound = structured_loss(scores, surrogate) * (6 if surrogate == "sum" else 1)
        assert wrong <= bound


# Classes ------------------------------------------------------------------------------------------------------------


def test_classes_are_chosen_by_mean_scores():  # f_v; f_t is the same with pictures and sentences exchanged
    pictures, texts = random(7, 4), random(9, 4, seed=1)
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 2, 2, 0])
    scores = pictures @ texts.T
    expected = torch.stack([scores[:, classes == label].mean(1) for label in range(3)], 1).argmax(1)
    assert torch.equal(classify(pictures, class_means(texts, classes, 3)), expected)


def test_a_class_without_sentences_is_told():
    with pytest.raises(ValueError, match="class 1 has no encoding"):
        class_means(random(2, 4), torch.tensor([0, 2]), 3)


@torch.no_grad()
def test_unseen_classes_are_named_by_the_mean_of_their_captions():
    model = joint()
    embeds = model.get_text_features(**sentences()).pooler_output
    means = class_means(embeds, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(means, torch.stack([embeds[:2].mean(0), embeds[2]]))
    pictures = model.get_image_features(random(3, 3, 16, 16)).pooler_output
    assert torch.equal(classify(pictures, means), model.score(pictures, means).argmax(1))
