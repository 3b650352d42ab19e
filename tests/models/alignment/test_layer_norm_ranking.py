"""Image-sentence ranking: order and loss, equation by equation; the shared contract comes from ModelTests."""

import pytest
import torch

from hfmm import factory
from hfmm.models.alignment.layer_norm_ranking.configuration_layer_norm_ranking import LayerNormRankingConfig
from hfmm.models.alignment.layer_norm_ranking.modeling_layer_norm_ranking import (
    LayerNormRankingModel,
    order_violations,
    ranking_loss,
)
from hfmm.models.alignment.layer_norm_ranking.processing_layer_norm_ranking import LayerNormRankingProcessor
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles
from tests.testing_pairs import EmbedsPairs, ProcessesPairs

WORDS, HIDDEN = 12, 16


def config(**overrides):
    fields = {
        "vision_config": SmallCnnConfig(hidden_sizes=[8, 16]),
        "image_pool_size": 2,
        "image_map_size": 16 * 2 * 2,
        "image_layers": [24],
        "vocab_size": WORDS,
        "word_size": 6,
        "hidden_size": HIDDEN,
    }
    return LayerNormRankingConfig(**{**fields, **overrides})


def ranker(**overrides):
    with seeded():
        return LayerNormRankingModel(config(**overrides)).eval()


def random(*shape, seed=0, **settings):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **settings)


def sentences():
    """Three of different lengths, not in order of length."""
    input_ids = torch.tensor([[1, 5, 6, 2, 3, 3], [1, 7, 8, 9, 4, 2], [1, 10, 2, 3, 3, 3]])
    return {"input_ids": input_ids, "attention_mask": (input_ids != 3).long()}


class TestLayerNormRanking(EmbedsPairs, ModelTests, ProcessesPairs, Bundles):
    architecture = "layer_norm_ranking"
    model_class = LayerNormRankingModel
    processor_class = LayerNormRankingProcessor
    overfit_learning_rate = 3e-3

    def config(self):
        return config()

    def inputs(self):
        return {"pixel_values": random(3, 3, 16, 16), **sentences(), "return_loss": torch.tensor(True)}


# Towers -------------------------------------------------------------------------------------------------------------


def test_the_ranking_experiment_has_the_parameters_of_its_formulas():
    with torch.device("meta"):
        models = {
            preset: LayerNormRankingModel(factory.create_config("layer_norm_ranking", preset))
            for preset in ("paper", "order_embeddings", "visual_semantic")
        }
    gru = (300 * 2048 + 2048 + 1024 * 2048) + (300 * 1024 + 1024 + 1024 * 1024)
    assert gru == 4_070_400
    norms = {"paper": 12_288, "order_embeddings": 0, "visual_semantic": 0}  # gains and biases of 2n, n, 2n and n
    for preset, model in models.items():
        assert sum(weight.numel() for weight in model.image_projection.parameters()) == 4_195_328
        assert sum(weight.numel() for weight in model.sentence_encoder.parameters()) == gru + norms[preset]
        assert [layer.out_features for layer in model.image_tower.layers] == [4096, 4096]  # fc6 and fc7
    margins = {preset: (model.config.similarity, model.config.margin) for preset, model in models.items()}
    assert margins == {
        "paper": ("order", 0.05),
        "order_embeddings": ("order", 0.05),
        "visual_semantic": ("cosine", 0.2),
    }


@torch.no_grad()
def test_embeddings_of_the_order_are_unit_vectors_of_the_orthant():
    output = ranker()(pixel_values=random(3, 3, 16, 16), **sentences())
    for embeds in (output.image_embeds, output.text_embeds):
        torch.testing.assert_close(embeds.norm(dim=1), torch.ones(3))
        assert (embeds >= 0).all()


@torch.no_grad()
def test_absolute_values_come_after_the_unit_length():
    model = ranker()
    features = random(3, 24)
    expected = model.image_projection(features)
    expected = (expected / expected.norm(dim=1, keepdim=True)).abs()
    torch.testing.assert_close(model.get_image_features(image_features=features).pooler_output, expected)


@torch.no_grad()
def test_the_cosine_keeps_signs_and_needs_no_order():
    output = ranker(similarity="cosine")(pixel_values=random(3, 3, 16, 16), **sentences())
    assert (output.image_embeds < 0).any()
    cosines = torch.cosine_similarity(output.image_embeds[:, None], output.text_embeds[None], dim=2)
    torch.testing.assert_close(output.logits_per_image, cosines)


@torch.no_grad()
def test_features_given_before_take_the_place_of_pixels():
    model, pictures = ranker(), random(3, 3, 16, 16)
    expected = model(pixel_values=pictures, **sentences())
    found = model(image_features=model.image_tower(pictures), **sentences())
    torch.testing.assert_close(found.logits_per_image, expected.logits_per_image)


@torch.no_grad()
def test_crops_of_a_picture_are_averaged_before_the_projection():
    model, crops = ranker(), random(2, 10, 3, 16, 16)
    features = torch.stack([model.image_tower(crops[:, number]) for number in range(10)]).mean(0)
    expected = model.get_image_features(image_features=features).pooler_output
    torch.testing.assert_close(model.get_image_features(crops).pooler_output, expected)


def test_pictures_of_another_size_are_refused_in_one_line():
    with pytest.raises(ValueError, match="32 x 32 pixels give 256 features but image_map_size is 64"):
        ranker()(pixel_values=random(1, 3, 32, 32), **sentences())


def test_a_sentence_without_words_is_refused_in_one_line():
    with pytest.raises(ValueError, match="every sentence needs a word"):
        ranker().get_text_features(torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 0], [0, 0, 0]]))


# Order --------------------------------------------------------------------------------------------------------------


def test_the_violation_is_zero_exactly_where_the_sentence_is_below():
    picture = random(1, 5).abs()
    assert order_violations(picture, picture * 0.5) == 0
    assert order_violations(picture, picture) == 0
    for coordinate in range(5):
        above = picture.clone()
        above[0, coordinate] += 1e-3
        assert order_violations(picture, above) > 0


def test_the_violation_is_not_symmetric():
    one, other = random(1, 5).abs(), random(1, 5, seed=1).abs()
    assert order_violations(one, other) != order_violations(other, one)
    assert order_violations(other + one, one) == 0 < order_violations(one, other + one)


def test_the_order_is_transitive():
    low = random(1, 5).abs()
    middle = low + random(1, 5, seed=1).abs()
    high = middle + random(1, 5, seed=2).abs()
    assert order_violations(middle, low) == order_violations(high, middle) == order_violations(high, low) == 0


@pytest.mark.parametrize("block", [1, 2**20])
def test_violations_equal_the_formula(monkeypatch, block):
    monkeypatch.setattr("hfmm.models.alignment.layer_norm_ranking.modeling_layer_norm_ranking.BLOCK", block)
    pictures, texts = random(4, 5, dtype=torch.double).abs(), random(3, 5, seed=1, dtype=torch.double).abs()
    expected = [
        [sum(max(0, s - i) ** 2 for s, i in zip(text, picture, strict=True)) for text in texts] for picture in pictures
    ]
    torch.testing.assert_close(order_violations(pictures, texts), torch.tensor(expected, dtype=torch.double))
    inputs = pictures.requires_grad_(), texts.requires_grad_()
    assert torch.autograd.gradcheck(order_violations, inputs)


@torch.no_grad()
def test_scores_are_minus_the_violations_of_sentences():
    model = ranker()
    output = model(pixel_values=random(3, 3, 16, 16), **sentences())
    errors = order_violations(output.image_embeds, output.text_embeds)
    assert torch.equal(output.logits_per_image, -errors)
    assert torch.equal(output.logits_per_text, -errors.T)


# Loss ---------------------------------------------------------------------------------------------------------------


def test_the_ranking_loss_equals_two_loops():
    scores, margin = random(5, 5, dtype=torch.double), 0.2
    total = 0.0
    for pair in range(5):
        for other in set(range(5)) - {pair}:
            total += max(0.0, margin - scores[pair, pair] + scores[pair, other])  # c'
            total += max(0.0, margin - scores[pair, pair] + scores[other, pair])  # i'
    torch.testing.assert_close(ranking_loss(scores, margin), total / 5)


def test_matches_are_no_contrastive_terms():
    assert ranking_loss(torch.zeros(1, 1), 0.05) == 0
    assert ranking_loss(torch.zeros(3, 3), 0.05).item() == pytest.approx(2 * 2 * 0.05)  # 2 others, both ways


def test_the_loss_is_zero_beyond_the_margin():
    scores = torch.full((4, 4), -1.0)
    scores.diagonal().fill_(-0.9)
    assert ranking_loss(scores, 0.05) == 0
    assert ranking_loss(scores, 0.2) > 0


def test_the_model_s_loss_is_that_of_its_similarity_and_margin():
    image_embeds, text_embeds = random(4, HIDDEN).abs(), random(4, HIDDEN, seed=1).abs()
    order = ranker().pair_loss(image_embeds, text_embeds)
    assert torch.equal(order, ranking_loss(-order_violations(image_embeds, text_embeds), 0.05))
    cosine = ranker(similarity="cosine", margin=0.2).pair_loss(image_embeds, text_embeds)
    torch.testing.assert_close(cosine, ranking_loss(image_embeds @ text_embeds.T, 0.2))
