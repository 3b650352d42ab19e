"""Structured joint embedding: encoder and loss, equation by equation; the shared contract comes from ModelTests."""

import pytest
import torch
from torch.nn.functional import max_pool1d, one_hot

from hfmm import factory
from hfmm.models.alignment.char_cnn_rnn.configuration_char_cnn_rnn import CharCnnRnnConfig
from hfmm.models.alignment.char_cnn_rnn.modeling_char_cnn_rnn import (
    CharCnnRnnModel,
    class_means,
    classify,
    structured_loss,
)
from hfmm.models.alignment.char_cnn_rnn.processing_char_cnn_rnn import (
    ALPHABET,
    CharCnnRnnProcessor,
    character_tokenizer,
)
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles
from tests.testing_pairs import EmbedsPairs, ProcessesPairs

LENGTH, JOINT = 40, 12


def config(**overrides):
    fields = {
        "vision_config": SmallCnnConfig(hidden_sizes=[8, 16]),
        "image_pooling": "flatten",
        "image_map_size": 16 * 4 * 4,
        "image_layers": [24],
        "project_image": True,
        "max_length": LENGTH,
        "conv_channels": [8, 10],
        "pool_strides": [3, 2],
        "projection_size": JOINT,
        "initializer_range": 0.4,
    }
    return CharCnnRnnConfig(**{**fields, **overrides})


def joint(**overrides):
    with seeded():
        return CharCnnRnnModel(config(**overrides)).eval()


def random(*shape, seed=0, **settings):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **settings)


def sentences():
    """Three of different lengths."""
    input_ids = torch.randint(1, 71, (3, 30), generator=torch.Generator().manual_seed(0))
    input_ids[1, 20:] = 0
    input_ids[2, 9:] = 0
    return {"input_ids": input_ids, "attention_mask": (input_ids != 0).long()}


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


# Characters ---------------------------------------------------------------------------------------------------------


def test_the_alphabet_has_seventy_slots_and_the_hyphen_the_later_of_its_two():
    tokenizer = character_tokenizer()
    assert len(ALPHABET) == 70
    assert [slot for slot, character in enumerate(ALPHABET, 1) if character == "-"] == [37, 60]
    assert tokenizer("-")["input_ids"] == [60]
    for character in set(ALPHABET) - {"-"}:
        assert tokenizer(character)["input_ids"] == [ALPHABET.index(character) + 1]
    assert len(tokenizer) == on_meta("paper").config.vocab_size == 72


def test_characters_are_cut_lowered_and_come_back():
    processor = CharCnnRnnProcessor.from_corpus([], max_length=201)
    text = "This small bird, grey-white, has a 3-inch beak!"
    ids = processor.tokenizer(text)["input_ids"]
    assert processor.tokenizer.decode(ids) == text.lower()
    assert processor.tokenizer(text.upper())["input_ids"] == ids
    assert len(processor.tokenizer("a" * 300, truncation=True)["input_ids"]) == 201


def test_an_unknown_level_is_told():
    with pytest.raises(ValueError, match="level is 'letter'"):
        CharCnnRnnProcessor.from_corpus([], level="letter")


@torch.no_grad()
def test_a_character_outside_the_alphabet_is_a_column_of_zeros():
    model = joint()
    seen = []
    model.text_encoder.convolutions[0].register_forward_hook(lambda part, given, found: seen.append(given[0]))
    ids = character_tokenizer()("a\u00e9-")["input_ids"]
    model.get_text_features(torch.tensor([ids]))
    (columns,) = seen
    assert columns.shape == (1, 70, LENGTH)
    assert columns.sum((0, 1)).tolist() == [1, 0, 1] + [0] * (LENGTH - 3)
    assert columns[0, 0, 0] == columns[0, 59, 2] == 1


@torch.no_grad()
def test_padding_ends_the_sentence():
    model = joint()
    ids = torch.tensor([[5, 6, 0, 7, 8]])
    expected = model.get_text_features(ids[:, :2]).pooler_output
    torch.testing.assert_close(model.get_text_features(ids).pooler_output, expected)


@torch.no_grad()
def test_characters_beyond_the_length_are_not_read():
    model = joint()
    ids = torch.randint(1, 71, (2, LENGTH + 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        model.get_text_features(ids).pooler_output, model.get_text_features(ids[:, :LENGTH]).pooler_output
    )


# The encoder written again ------------------------------------------------------------------------------------------


def by_hand(model, ids, gated):
    """One sentence, one step after the other."""
    weights = dict(model.text_encoder.named_parameters())
    columns = one_hot(ids - 1, 70).float()  # L V
    found = columns
    for index, stride in enumerate(model.config.pool_strides):
        weight, bias = weights[f"convolutions.{index}.weight"], weights[f"convolutions.{index}.bias"]
        places = len(found) - weight.shape[2] + 1
        rows = [
            sum(weight[:, :, shift] @ found[place + shift] for shift in range(weight.shape[2])) + bias
            for place in range(places)
        ]
        found = max_pool1d(torch.stack(rows).relu().T, 3, stride).T
    w, b = weights["recurrent.input_gates.weight"], weights["recurrent.input_gates.bias"]
    u, c = weights["recurrent.recurrent_gates.weight"], weights["recurrent.recurrent_gates.bias"]
    size, states = found.shape[1], []
    for x in found:
        a = w @ x + b
        if not gated:
            states.append((a + (u @ states[-1] + c if states else 0)).relu())
        elif not states:
            states.append(a[2 * size :].tanh())
        else:
            h = states[-1]
            update, reset = (a[: 2 * size] + u @ h + c).sigmoid().split(size)
            proposed = weights["recurrent.recurrent_candidate.weight"] @ (reset * h)
            proposed = (a[2 * size :] + proposed + weights["recurrent.recurrent_candidate.bias"]).tanh()
            states.append(update * proposed + (1 - update) * h)
    return states, weights["projection.weight"], weights["projection.bias"]


@pytest.mark.parametrize("time_pooling", ["mean", "last"])
@pytest.mark.parametrize("cell", ["rnn", "gru"])
@torch.no_grad()
def test_the_encoder_equals_its_equations(cell, time_pooling):
    model = joint(cell=cell, time_pooling=time_pooling)
    ids = torch.randint(1, 71, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    for row, found in zip(ids, model.get_text_features(ids).pooler_output, strict=True):
        states, weight, bias = by_hand(model, row, gated=cell == "gru")
        read = torch.stack(states).mean(0) if time_pooling == "mean" else states[-1]
        torch.testing.assert_close(found, weight @ read + bias, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_first_step_has_no_hidden_bias():
    model = joint()
    given = random(2, 1, 10)
    expected = model.text_encoder.recurrent.input_gates(given).relu()
    torch.testing.assert_close(model.text_encoder.recurrent(given), expected)


@torch.no_grad()
def test_a_bag_of_words_counts():
    model = joint(reads="bag_of_words")
    ids = torch.tensor([[5, 6, 5, 0], [5, 5, 6, 0]])
    found = model.get_text_features(ids).pooler_output
    torch.testing.assert_close(found[0], found[1])
    weight, bias = model.text_encoder.projection.weight, model.text_encoder.projection.bias
    torch.testing.assert_close(found[0], 2 * weight[:, 5] + weight[:, 6] + bias)


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
