"""YOLOS through upstream's classes: a Vision Transformer whose detection tokens find the objects."""

import torch

import hfmm
from tests.models.vision.upstream import parameters
from tests.testing import seeded


def test_parameters_of_upstreams_default():
    assert parameters("yolos")["paper"] == 105_016_416  # with the classes of COCO


def test_tokens_are_a_class_the_patches_and_the_detections():
    with seeded():
        model = hfmm.create_model("yolos", auto="AutoModel").eval()
    with torch.no_grad():
        states = model(torch.randn(2, 3, 64, 64)).last_hidden_state
    assert states.shape == (2, 1 + 8 * 8 + model.config.num_detection_tokens, model.config.hidden_size)


def test_boxes_are_read_from_the_detection_tokens_alone():
    with seeded():
        model = hfmm.create_model("yolos").eval()
        pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        output = model(pixels)
        tokens = output.last_hidden_state[:, -model.config.num_detection_tokens :]  # B Q D
        torch.testing.assert_close(output.pred_boxes, model.bbox_predictor(tokens).sigmoid())
        torch.testing.assert_close(output.logits, model.class_labels_classifier(tokens))
