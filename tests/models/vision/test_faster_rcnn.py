"""Faster R-CNN: what the papers say, equation by equation; the shared contract comes from ModelTests."""

import math

import pytest
import torch
from torch.nn.functional import interpolate
from transformers import ResNetConfig

from hfmm import factory
from hfmm.models.vision.faster_rcnn.configuration_faster_rcnn import FasterRcnnConfig
from hfmm.models.vision.faster_rcnn.modeling_faster_rcnn import (
    FasterRcnnForObjectDetection,
    choose,
    make_anchors,
    match_anchors,
    propose,
    truth_of,
)
from hfmm.nn.boxes import box_iou, decode_boxes, encode_boxes, roi_align
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {
    "backbone_config": {"model_type": "hfmm_small_cnn", "hidden_sizes": [8, 16], "num_residual_blocks": 1},
    "anchor_sizes": [6, 12], "anchor_ratios": [0.5, 1.0, 2.0], "rpn_hidden_size": 8, "rpn_batch_size": 32,
    "pre_nms_proposals": 40, "num_proposals": 12, "num_training_proposals": 12, "region_batch_size": 8,
    "pooled_size": 4, "head_layer_type": "basic", "head_depth": 1, "feature_size": 12, "num_labels": 3,
    "num_attributes": 4, "class_embedding_size": 5, "attribute_hidden_size": 7,
}  # fmt: skip


def label(*objects):
    """Class, attribute and corners of each object."""
    return {
        "class_labels": torch.tensor([kind for kind, *_ in objects], dtype=torch.long),
        "attributes": torch.tensor([attribute for _, attribute, *_ in objects], dtype=torch.long),
        "boxes": torch.tensor([box for _, _, *box in objects], dtype=torch.float).view(-1, 4),
    }


TWO = [label((1, 3, 0.1, 0.2, 0.5, 0.6), (0, -1, 0.6, 0.6, 0.9, 0.9)), label((2, 0, 0.3, 0.1, 0.9, 0.5))]


def pictures(count=2):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def tiny_model(**fields):
    with seeded():
        return FasterRcnnForObjectDetection(FasterRcnnConfig(**{**TINY, **fields})).eval()


class TestFasterRcnn(ModelTests, Bundles):
    architecture = "faster_rcnn"
    model_class = FasterRcnnForObjectDetection
    overfit_ratio = 0.2  # regions are drawn anew in each step

    def config(self):
        return FasterRcnnConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures(3), "labels": [*TWO, label()]}


class TestFasterRcnnOfOneBoxARegion(TestFasterRcnn):
    def config(self):
        resnet = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
        resnet["layer_type"] = "basic"
        fields = {"class_agnostic": True, "pooling": "max", "head_layer_type": "bottleneck", "num_attributes": 0}
        return FasterRcnnConfig(**{**TINY, "backbone_config": resnet, **fields})


def test_paper_has_conv4_of_stride_16_and_regions_of_2048_numbers():
    with torch.device("meta"):
        model = factory.create_model("faster_rcnn", preset="paper")
        feature_map = model.backbone(torch.empty(1, 3, 608, 608)).feature_maps[-1]
        features = model.head.pool(feature_map, torch.empty(1, 36, 4))
        told = model.head.told(features, torch.zeros(1, 36, dtype=torch.long))
        objectness, offsets = model.rpn(feature_map)
        classes, boxes = model.head.classes(features), model.head.offsets(features)
    assert feature_map.shape == (1, 1024, 38, 38)
    assert features.shape == (1, 36, 2048)
    assert told.shape == (1, 36, 401)
    assert classes.shape == (1, 36, 1601)
    assert boxes.shape == (1, 36, 1600, 4)
    assert objectness.shape == (1, 38 * 38 * 12, 2)
    assert offsets.shape == (1, 38 * 38 * 12, 4)
    upstream = factory.create_config("faster_rcnn", preset="paper").backbone_config
    assert isinstance(upstream, ResNetConfig)
    assert upstream.depths == [3, 4, 23]
    assert sum(value.numel() for value in model.backbone.parameters()) == 27_535_424
    assert sum(value.numel() for value in model.head.stage.parameters()) == 14_964_736


def test_anchors_are_nine_a_cell_and_keep_their_area():
    anchors = make_anchors([128, 256, 512], [0.5, 1, 2], (38, 50), (608, 800))
    assert len(anchors) == 9 * 38 * 50
    pixels = anchors * torch.tensor([800, 608, 800, 608])
    sides = (pixels[:, 2:] - pixels[:, :2])[:9]
    torch.testing.assert_close(sides.prod(1).sqrt(), torch.tensor([128.0, 256, 512]).repeat_interleave(3))
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 1, 2]).repeat(3))
    middles = (pixels[::9, 2:] + pixels[::9, :2]) / 2
    torch.testing.assert_close(middles[[0, 1, 50]], torch.tensor([[8.0, 8], [24, 8], [8, 24]]), rtol=0, atol=1e-3)


def test_offsets_of_a_box_by_hand_and_back():  # Eq. 2
    anchor, box = torch.tensor([0.2, 0.2, 0.4, 0.6]), torch.tensor([0.3, 0.2, 0.5, 0.4])
    offsets = torch.tensor([0.5, -0.25, 0.0, -math.log(2)])
    torch.testing.assert_close(encode_boxes(box, anchor), offsets)
    torch.testing.assert_close(decode_boxes(offsets, anchor), box)


def test_which_anchors_are_positive_negative_or_neither():
    truth = truth_of([label((0, 0, 0.2, 0.2, 0.6, 0.6), (1, 1, 0.7, 0.7, 0.9, 0.9)), label()])
    anchors = torch.tensor(
        [
            [0.2, 0.2, 0.6, 0.55],  # above 0.7 of the first
            [0.2, 0.2, 0.6, 0.6],  # the best of the first
            [0.2, 0.2, 0.6, 0.4],  # a half: neither
            [0.65, 0.65, 0.95, 0.95],  # 0.44, but the best of the second
            [0.0, 0.0, 0.1, 0.1],  # of none
            [-0.1, 0.2, 0.6, 0.6],  # over the edge
        ]
    )
    positive, negative, which = match_anchors(anchors, truth)
    assert positive.tolist() == [[True, True, False, True, False, False], [False] * 6]
    assert negative.tolist() == [[False, False, False, False, True, False], [True] * 5 + [False]]
    assert which[0, [0, 1, 3]].tolist() == [0, 0, 1]


def test_a_draw_takes_candidates_only_and_as_many_as_there_are():
    candidates = torch.rand(4, 50, generator=torch.Generator().manual_seed(0)) < 0.4
    count = torch.tensor([5, 0, 50, 1])
    for by_chance in (True, False):
        with seeded(3):
            taken = choose(candidates, count, by_chance)
        assert not (taken & ~candidates).any()
        assert torch.equal(taken.sum(1), torch.minimum(count, candidates.sum(1)))
    assert torch.equal(taken[0].nonzero()[:, 0], candidates[0].nonzero()[:5, 0])  # the first
    draws = torch.stack([choose(candidates[:1], count[:1], True)[0] for _ in range(300)]).float().mean(0)
    chance = 5 / candidates[0].sum()
    assert (draws[candidates[0]] - chance).abs().max() < 0.12


def test_attributes_are_told_with_the_true_class_in_training_and_the_likeliest_otherwise():
    model = tiny_model()
    with torch.no_grad(), seeded(1):
        for layer in (
            model.head.classes,
            model.head.attributes,
            model.head.class_embedding,
            model.head.attribute_hidden,
        ):
            torch.nn.init.normal_(layer.weight)
        out = model(pictures())
        feature_map = model.backbone(pictures()).feature_maps[-1]
        proposals, _ = propose(*model.rpn(feature_map), model.anchors(feature_map, pictures()), model.config, 12)
        features = model.head.pool(feature_map, proposals)
        told = model.head.told(features, out.scores.argmax(-1)).softmax(-1)
        one = model.head.told(features, torch.zeros(2, 12, dtype=torch.long))
        other = model.head.told(features, torch.ones(2, 12, dtype=torch.long))
    assert torch.equal(out.attributes, told[..., :-1].argmax(-1))  # the last is none
    assert not torch.allclose(one, other)


def test_proposals_overlap_little_and_lie_inside():
    generator = torch.Generator().manual_seed(0)
    anchors = make_anchors([8, 14], [0.5, 1, 2], (8, 8), (32, 32))
    objectness, offsets = (torch.randn(2, len(anchors), n, generator=generator) for n in (2, 4))
    config = FasterRcnnConfig(**{**TINY, "pre_nms_proposals": 300})
    boxes, kept = propose(objectness, offsets * 0.3, anchors, config, 50)
    assert boxes.shape == (2, 50, 4)
    assert kept.all()
    assert 0 <= boxes.min() < boxes.max() <= 1
    assert (box_iou(boxes, boxes).triu(1) <= 0.7).all()
    best = (objectness[..., 1] - objectness[..., 0]).argmax(1)
    first = decode_boxes(offsets[[0, 1], best] * 0.3, anchors[best]).clamp(0, 1)
    assert torch.equal(boxes[:, 0], first)
    few, kept = propose(objectness, offsets, torch.full_like(anchors, 0.5), config, 50)
    assert not kept.any()  # without an inside they are none
    assert torch.equal(few, torch.tensor([0.0, 0, 1, 1]).expand(2, 50, 4))


def test_a_region_is_the_mean_of_what_the_stage_makes_of_its_bins():
    model = tiny_model()
    feature_map = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[[0.25, 0.0, 0.75, 0.5], [0, 0, 1, 1]]]).expand(2, 2, 4)
    features = model.head.pool(feature_map, boxes)
    bins = roi_align(feature_map, boxes, 4)
    torch.testing.assert_close(features[1, 0], model.head.stage(bins[1, :1]).mean((2, 3))[0])
    cropped = interpolate(feature_map[:, :, :4, 2:6], scale_factor=1, mode="bilinear")  # a box of whole cells
    torch.testing.assert_close(roi_align(feature_map, boxes[:, :1], 4, samples=1)[:, 0], cropped)


def test_offsets_of_regions_are_in_deviations():
    model = tiny_model(class_agnostic=True)
    torch.nn.init.zeros_(model.head.boxes.weight)
    with torch.no_grad():
        model.head.boxes.bias.copy_(torch.tensor([1.0, 0, 0, 5 * math.log(0.5)]))
        proposal = torch.tensor([[[0.4, 0.4, 0.6, 0.6]]])
        found = model.look(model.backbone(pictures(1)).feature_maps[-1], proposal, torch.ones(1, 1, dtype=torch.bool))
    expected = torch.tensor([0.42, 0.45, 0.62, 0.55])  # a tenth of the width to the right, half as high
    torch.testing.assert_close(found["pred_boxes"], expected.expand(1, 1, 3, 4))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"anchor_sizes": []}, "must name one anchor at least"),
        ({"num_proposals": 7000}, "num_proposals is 7000, not in 1..40"),
        ({"pooled_size": 1}, "pooled_size is 1 but head_stride is 2"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        FasterRcnnConfig(**{**TINY, **fields})


def test_attributes_have_names_that_come_back(tmp_path):
    config = FasterRcnnConfig(**{**TINY, "id2attribute": {0: "red", 1: "blue"}})
    assert config.num_attributes == 2
    config.save_pretrained(tmp_path)
    assert FasterRcnnConfig.from_pretrained(tmp_path).id2attribute == {0: "red", 1: "blue"}
    assert FasterRcnnConfig(**TINY).id2attribute[3] == "attribute 3"
