"""DETR through upstream's classes: sizes, what its losses match, and the room of detectors around it."""

from random import Random

import pytest
import torch
from transformers import DetrForObjectDetection

import hfmm
from hfmm.data.tasks import collator_of
from hfmm.evaluation.base import Asked
from hfmm.evaluation.detection import score_detector
from hfmm.factory import create_config
from tests.models.vision.upstream import parameters
from tests.testing import Architecture, seeded


class TestDetr(Architecture):
    architecture = "detr"
    model_class = DetrForObjectDetection

    def config(self):
        return create_config("detr", num_queries=5, decoder_layers=1, encoder_layers=1)

    def labels(self):
        boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.25, 0.25, 0.1, 0.1]])
        return [{"class_labels": torch.tensor([1, 3]), "boxes": boxes}] * 2

    def test_the_loss_is_the_same_in_whatever_order_objects_are_told(self):
        model, pixels = self.model(), torch.randn(2, 3, 64, 64)
        turned = [{name: value.flip(0) for name, value in label.items()} for label in self.labels()]
        with torch.no_grad():
            first, second = (model(pixels, labels=labels).loss for labels in (self.labels(), turned))
        torch.testing.assert_close(first, second)

    def test_every_layer_of_the_decoder_is_asked(self):
        config = create_config("detr")
        output = DetrForObjectDetection(config)(torch.randn(2, 3, 64, 64), labels=self.labels())
        assert sum(name.startswith("loss_ce") for name in output.loss_dict) == config.decoder_layers


def test_parameters_of_the_paper():
    assert parameters("detr")["paper"] == 41_524_768


def test_answers_change_places_with_their_queries():
    with seeded():
        model = hfmm.create_model("detr").eval()
        pixels = torch.randn(1, 3, 64, 64)
    order = torch.randperm(model.config.num_queries, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(pixels)
        embeddings = model.model.query_position_embeddings.weight
        embeddings.copy_(embeddings[order].clone())
        after = model(pixels)
    torch.testing.assert_close(after.pred_boxes, before.pred_boxes[:, order])
    torch.testing.assert_close(after.logits, before.logits[:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["detr", "yolos"])
def test_upstream_detectors_learn_and_are_scored_as_ours_are(name):
    with seeded():
        model, processor = hfmm.create_model(name), hfmm.create_processor(name)
    scenes = hfmm.load_data("scenes:detection", split="test").select(range(4))
    collator = collator_of("object-detection", processor)
    batch = collator([collator.draw(scenes[row], Random(0)) for row in range(4)])
    x0, y0, x1, y1 = scenes[0]["objects"][0]["box"]
    found = batch["labels"][0]["boxes"][0] * 64  # center, width and height
    torch.testing.assert_close(found, torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]).float())
    output = model(pixel_values=batch["pixel_values"], labels=batch["labels"])
    assert output.loss.isfinite()
    model.config.id2label = dict(enumerate(scenes.label_names))
    outcome = score_detector(model.eval(), processor, scenes, Asked())
    assert {"map", "map_50", "map_75"} <= outcome.scores.keys()
    assert all(row["scores"] == sorted(row["scores"], reverse=True) for row in outcome.predictions)
