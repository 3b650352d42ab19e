"""ViLBERT: the shared contract of its heads, what they share, and where regions come from."""

import pytest
import torch

import hfmm
from hfmm import factory
from hfmm.models.alignment.vilbert.configuration_vilbert import VilbertConfig
from hfmm.models.alignment.vilbert.modeling_vilbert import (
    VilbertForImageAndTextRetrieval,
    VilbertForPreTraining,
    VilbertForQuestionAnswering,
    VilbertModel,
)
from hfmm.models.alignment.vilbert.processing_vilbert import VilbertProcessor
from hfmm.models.alignment.vilbert.regions_vilbert import grid_boxes, locations_of
from tests.models.alignment import tiny_vilbert
from tests.models.alignment.tiny_vilbert import CLASSES, grid_config, model, pictures, regions, words
from tests.testing import ModelTests, descend, seeded
from tests.testing_hub import Bundles
from tests.testing_pairs import ProcessesPairs

KEYS = tuple(  # a softmax over keys cannot see their biases
    f"vilbert.encoder.{place}.bias"
    for place in (
        *(f"text_layers.{number}.attention.self.key" for number in range(4)),
        *(f"visual_layers.{number}.attention.self.key" for number in range(2)),
        *(f"connections.{number}.attention.{stream}_key" for number in range(2) for stream in ("text", "visual")),
    )
)


class Contract(ModelTests):
    """What all heads keep."""

    architecture = "vilbert"
    overfit_learning_rate = 3e-3
    without_effect = KEYS
    read_by_transformers = ModelTests.read_by_transformers | {"initializer_range"}


class TestVilbertForImageAndTextRetrieval(Contract, Bundles, ProcessesPairs):
    without_effect = (*KEYS, "alignment.bias")  # a softmax over pairs cannot see what all scores have in common
    model_class = VilbertForImageAndTextRetrieval
    processor_class = VilbertProcessor

    def config(self):
        return grid_config()

    def inputs(self):
        return {"pixel_values": pictures(), **words(), "return_loss": torch.tensor(True)}

    @torch.no_grad()
    def test_a_batch_of_two_equals_two_singles(self):
        ranker, inputs = self.model(), {"pixel_values": pictures(), **words()}
        together = ranker(**inputs).logits_per_image
        for row in range(3):
            alone = ranker(**{name: value[row : row + 1] for name, value in inputs.items()}).logits_per_image
            torch.testing.assert_close(alone[0, 0], together[row, row], rtol=1e-4, atol=1e-5)


class TestVilbertForPreTraining(Contract, Bundles):
    model_class = VilbertForPreTraining

    def config(self):
        return tiny_vilbert.config(tie_word_embeddings=False)  # an adapter merged into one would change the other

    def inputs(self):
        masked = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]).bool()
        targets = torch.eye(CLASSES)[torch.tensor([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 2, 2, 2, 2]])]
        labels = torch.full((3, 6), -100)
        labels[:, 1] = torch.tensor([5, 7, 10])
        return {
            **words(), **regions(), "labels": labels, "region_targets": targets, "masked_regions": masked,
            "hidden_regions": masked.clone(), "alignment_labels": torch.tensor([0, 1, 0]),
        }  # fmt: skip


class TestVilbertForQuestionAnswering(Contract, Bundles):
    model_class = VilbertForQuestionAnswering

    def config(self):
        return grid_config(num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), **words(), "labels": torch.eye(4)[:3]}


# Scores of pairs


@torch.no_grad()
@pytest.mark.parametrize("kind", [VilbertForImageAndTextRetrieval, VilbertForPreTraining])
def test_all_pairs_score_as_each_alone(kind):
    ranker = model(kind, grid_config())
    scores = ranker.score_all(**words(), pixel_values=pictures(2))
    assert scores.shape == (2, 3)
    for image in range(2):
        picture = pictures(2)[image : image + 1].expand(3, -1, -1, -1)
        torch.testing.assert_close(scores[image], ranker.score_pairs(**words(), pixel_values=picture))


@torch.no_grad()
def test_pre_training_scores_pairs_as_retrieval_does(tmp_path):
    """Zero-shot retrieval, and where fine-tuning starts: the alignment head is the same."""
    model(VilbertForPreTraining, grid_config()).save_pretrained(tmp_path)
    before, after = (
        kind.from_pretrained(tmp_path).score_all(**words(), pixel_values=pictures())
        for kind in (VilbertForPreTraining, VilbertForImageAndTextRetrieval)
    )
    assert torch.equal(before, after)


def test_a_toy_learns_alignment():
    """Which of four pictures of one region each is told by which word."""
    settings = tiny_vilbert.config(region_size=4, num_hidden_layers=3, text_connections=[2], visual_connections=[0])
    ranker = model(VilbertForImageAndTextRetrieval, settings).train()
    inputs = {
        "visual_embeds": 3 * torch.eye(4)[:, None],
        "visual_locations": locations_of(torch.tensor([0.2, 0.2, 0.8, 0.8])).expand(4, 1, 5),
        "input_ids": torch.tensor([[1, 4 + number, 2] for number in range(4)]),
        "return_loss": torch.tensor(True),
    }
    with seeded(1):
        descend(ranker, inputs, lambda output: output.loss, 60, 3e-3)
    scores = ranker.eval()(**inputs).logits_per_image
    assert scores.argmax(1).tolist() == scores.argmax(0).tolist() == [0, 1, 2, 3]


# Regions


def test_cells_of_a_grid_are_boxes_row_by_row():
    boxes = grid_boxes(2, 4, like=torch.zeros(()))
    assert boxes[0].tolist() == [0, 0, 0.25, 0.5]
    assert boxes[5].tolist() == [0.25, 0.5, 0.5, 1]
    torch.testing.assert_close(locations_of(boxes).sum(0)[4], torch.tensor(1.0))  # together they are the picture


@torch.no_grad()
def test_regions_of_a_grid_are_the_cells_of_the_map():
    trunk = model(settings=grid_config())
    found = trunk.regions_of(pictures())
    feature_map = trunk.region_encoder.backbone(pictures()).feature_maps[-1]
    assert found.visual_embeds.shape == (3, 16, 16)
    assert torch.equal(found.visual_embeds[1, 6], feature_map[1, :, 1, 2])
    assert found.visual_locations[1, 6].tolist() == [0.5, 0.25, 0.75, 0.5, 0.0625]


@torch.no_grad()
def test_boxes_that_are_given_are_pooled_from_the_map():
    trunk = model(settings=grid_config())
    whole = locations_of(torch.tensor([[[0.0, 0, 1, 1]]])).expand(3, 1, 5)
    found = trunk.regions_of(pictures(), visual_locations=whole)
    assert found.visual_embeds.shape == (3, 1, 16)
    feature_map = trunk.region_encoder.backbone(torch.zeros(1, 3, 16, 16)).feature_maps[-1].mean((2, 3))
    flat = trunk.regions_of(torch.zeros(1, 3, 16, 16), visual_locations=whole[:1]).visual_embeds[0]
    torch.testing.assert_close(flat, feature_map, rtol=0.3, atol=0.1)  # alike but at the edges


@torch.no_grad()
def test_regions_of_a_detector_are_those_that_it_gives():
    with seeded():
        ranker = hfmm.create_model("vilbert", "tiny_detected").eval()
    inputs = {"input_ids": torch.tensor([[1, 5, 2], [1, 6, 2]])}
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = ranker.vilbert.region_encoder.detector.extract_regions(pixels, num_regions=8)
    given = {
        "visual_embeds": found.region_features, "visual_locations": locations_of(found.boxes),
        "visual_attention_mask": found.attention_mask,
    }  # fmt: skip
    assert torch.equal(
        ranker(**inputs, pixel_values=pixels).logits_per_image, ranker(**inputs, **given).logits_per_image
    )


def test_a_detector_is_not_trained_and_tells_classes():
    with seeded():
        trained = hfmm.create_model("vilbert", "tiny_detected", auto="AutoModelForPreTraining").train()
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = trained.detect(pixels)
    assert found["region_targets"].shape == (2, 8, 9)
    assert not any(weight.requires_grad for weight in trained.vilbert.region_encoder.parameters())
    assert not trained.vilbert.region_encoder.detector.training
    assert model(VilbertForPreTraining, grid_config()).detect(pictures()) == {}


@torch.no_grad()
def test_words_look_at_regions_and_never_at_what_is_none():
    ranker = model(VilbertForImageAndTextRetrieval)
    weights, boxes = ranker.attended_regions(**words(), **regions())
    assert weights.shape == (3, 6, 5)
    assert boxes.shape == (3, 5, 4)
    assert (weights.sum(2) <= 1).all()  # <IMG> has the rest
    assert not weights[2, :, 4].any()


# Bad input


@pytest.mark.parametrize(
    ("left_out", "message"),
    [("input_ids", "input_ids is missing: give the texts"), ("visual_embeds", "give the pictures or their regions")],
)
def test_without_pictures_or_texts_there_is_one_clear_line(left_out, message):
    given = {name: value for name, value in {**words(), **regions()}.items() if name != left_out}
    with pytest.raises(ValueError, match=message):
        model()(**given)


def test_pictures_need_something_that_finds_regions():
    with pytest.raises(ValueError, match="regions is 'given', so pixel_values are not looked at: give visual_embeds"):
        model()(**words(), pixel_values=pictures())


def test_a_text_that_is_too_long_is_refused_in_one_line():
    with pytest.raises(ValueError, match="a text has 13 words but max_position_embeddings is 12"):
        model()(input_ids=torch.ones(1, 13, dtype=torch.long), **regions(1))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"regions": "grid"}, "regions is 'grid', which needs a vision_config"),
        ({"text_connections": [3, 2]}, "text_connections is \\[3, 2\\]: rising numbers of the 4 layers"),
        ({"visual_connections": [0, 2]}, "visual_connections is \\[0, 2\\]: rising numbers of the 2 layers"),
        ({"visual_connections": [0]}, "differ in number"),
        ({"joint_num_heads": 3}, "joint_size is 8, which 3 heads cannot share"),
    ],
)
def test_fields_that_disagree_are_refused(overrides, message):
    with pytest.raises(Exception, match=message):
        tiny_vilbert.config(**overrides)


# Sizes


def test_parameters_of_the_released_base_model():
    with torch.device("meta"):
        pretrained = VilbertForPreTraining(factory.create_config("vilbert", "paper"))
    trunk = pretrained.vilbert
    encoder = trunk.encoder

    def size(part):
        return sum(weight.numel() for weight in part.parameters())

    assert size(encoder.text_layers[0]) == 7_087_872
    assert size(encoder.visual_layers[0]) == 6_301_696
    assert size(encoder.connections[0]) == 14_176_768
    assert size(trunk.embeddings) == 23_837_184
    assert size(trunk.visual_embeddings) == 2_106_368
    assert size(trunk.text_pooler) + size(trunk.visual_pooler) == 1_837_056
    assert size(trunk) == 235_705_856
    assert pretrained.num_parameters() - size(trunk) == 3_317_373  # the decoder of words is their embedding
    assert pretrained.num_parameters() == 239_023_229
    assert VilbertConfig().text_connections == [6, 7, 8, 9, 10, 11]


def test_the_decoder_of_words_is_their_embedding():
    pretrained = model(VilbertForPreTraining)
    assert pretrained.masked.text_decoder.weight is pretrained.vilbert.embeddings.word_embeddings.weight


def test_its_small_detector_is_that_of_faster_rcnn():  # whose weights it can then take
    own = factory.create_config("vilbert", "tiny_detected").vision_config.to_diff_dict()
    assert own == factory.create_config("faster_rcnn").to_diff_dict()


def test_the_small_model_is_small():
    assert isinstance(hfmm.create_model("vilbert"), VilbertForImageAndTextRetrieval)
    assert hfmm.create_model("vilbert").num_parameters() < 1_500_000
    assert isinstance(hfmm.create_model("vilbert").base_model, VilbertModel)
