"""Faster R-CNN's losses, by hand and written again one anchor and one region after the other."""

import math

import numpy as np
import pytest
import torch

from hfmm.models.vision.faster_rcnn.configuration_faster_rcnn import FasterRcnnConfig
from hfmm.models.vision.faster_rcnn.modeling_faster_rcnn import draw_regions, make_anchors, proposal_losses, truth_of
from hfmm.nn.boxes import box_iou
from tests.models.vision.test_faster_rcnn import TINY, TWO, label, pictures, tiny_model
from tests.testing import seeded


def iou(a, b):
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])  # noqa: E731
    return sides.prod() / (area(a) + area(b) - sides.prod())


def offsets_of(box, anchor):
    side, anchor_side = box[2:] - box[:2], anchor[2:] - anchor[:2]
    return np.concatenate(
        [((box[:2] + box[2:]) / 2 - (anchor[:2] + anchor[2:]) / 2) / anchor_side, np.log(side / anchor_side)]
    )


def smooth(x):
    """Fast R-CNN, Eq. 3."""
    x = np.abs(x)
    return np.where(x < 1, 0.5 * x**2, x - 0.5).sum()


def log_softmax(x):
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


def equation_1(objectness, offsets, anchors, labels, num_cells, n_cls, weight):
    """The loss of the proposals, one anchor after the other; the first positives and negatives are taken."""
    parts = np.zeros(2)
    for picture, given in enumerate(labels):
        truth = given["boxes"].double().numpy()
        inside = [a for a in range(len(anchors)) if anchors[a].min() >= 0 and anchors[a].max() <= 1]
        overlap = {a: [iou(anchors[a], box) for box in truth] for a in inside}
        best = [max(overlap[a][j] for a in inside) for j in range(len(truth))]
        positive = [a for a in inside if any(o > 0.7 or (o == best[j] and o > 0) for j, o in enumerate(overlap[a]))]
        negative = [a for a in inside if a not in positive and all(o < 0.3 for o in overlap[a])]
        positive = positive[: n_cls // 2]
        for a in negative[: n_cls - len(positive)]:
            parts[0] -= log_softmax(objectness[picture, a])[0] / n_cls
        for a in positive:
            parts[0] -= log_softmax(objectness[picture, a])[1] / n_cls
            target = offsets_of(truth[int(np.argmax(overlap[a]))], anchors[a])
            parts[1] += weight * smooth(offsets[picture, a] - target) / num_cells
    return parts / len(labels)


@pytest.mark.parametrize("n_cls", [4, 256])
def test_the_loss_of_proposals_is_equation_1_written_again(n_cls):
    anchors = make_anchors([8, 14], [0.5, 1, 2], (8, 8), (32, 32)).double()
    generator = torch.Generator().manual_seed(1)
    objectness, offsets = (torch.randn(2, len(anchors), n, generator=generator).double() for n in (2, 4))
    truth = truth_of(TWO)
    truth = truth._replace(boxes=truth.boxes.double())
    config = FasterRcnnConfig(**{**TINY, "rpn_batch_size": n_cls})
    losses = proposal_losses(objectness, offsets, anchors, truth, 64, config, by_chance=False)
    expected = equation_1(objectness.numpy(), offsets.numpy(), anchors.numpy(), TWO, 64, n_cls, 10.0)
    assert [losses["rpn_objectness"].item(), losses["rpn_box"].item()] == pytest.approx(expected.tolist(), rel=1e-5)


def test_the_loss_of_proposals_by_hand():
    """One positive anchor, half a side left of its object, and one negative; both classes are even."""
    anchors = torch.tensor([[0.2, 0.2, 0.6, 0.6], [0.7, 0.7, 0.9, 0.9]])
    truth = truth_of([label((0, 0, 0.24, 0.2, 0.64, 0.6))])
    config = FasterRcnnConfig(**{**TINY, "rpn_batch_size": 2})
    losses = proposal_losses(torch.zeros(1, 2, 2), torch.zeros(1, 2, 4), anchors, truth, 2, config, by_chance=False)
    assert losses["rpn_objectness"].item() == pytest.approx(math.log(2))
    assert losses["rpn_box"].item() == pytest.approx(10 / 2 * 0.5 * 0.1**2, rel=1e-4)


def head_losses(model, feature_map, regions, num_labels):
    """The losses of the head, one region after the other."""
    features = model.head.pool(feature_map, regions.boxes)
    logits = model.head.classes(features).numpy()
    offsets = model.head.offsets(features).numpy()
    told = model.head.told(features, regions.classes).numpy()
    parts = {"class": 0.0, "box": 0.0, "attribute": 0.0}
    for picture in range(len(logits)):
        there = [n for n in range(logits.shape[1]) if regions.is_region[picture, n]]
        having = [n for n in there if regions.attributes[picture, n] >= 0]
        for n in there:
            kind = int(regions.classes[picture, n])
            parts["class"] -= log_softmax(logits[picture, n])[kind] / len(there) / len(logits)
            if kind < num_labels:
                box, region = regions.targets[picture, n].numpy(), regions.boxes[picture, n].numpy()
                target = offsets_of(box, region) / np.array([0.1, 0.1, 0.2, 0.2])
                parts["box"] += smooth(offsets[picture, n, kind] - target) / len(there) / len(logits)
        for n in having:
            chance = log_softmax(told[picture, n])[int(regions.attributes[picture, n])]
            parts["attribute"] -= 0.5 * chance / len(having) / len(logits)
    return parts


@torch.no_grad()
def test_the_loss_of_the_head_is_the_multi_task_loss_written_again():
    model = tiny_model()
    with seeded(4):
        for layer in (model.head.boxes, model.head.classes, model.head.attributes):
            torch.nn.init.normal_(layer.weight)
    feature_map, truth = model.backbone(pictures()).feature_maps[-1], truth_of(TWO)
    low = torch.rand(2, 12, 2, generator=torch.Generator().manual_seed(5)) * 0.6
    proposals, is_proposal = torch.cat([low, low + 0.3], -1), torch.arange(12).expand(2, 12) < torch.tensor([[12], [5]])
    regions = draw_regions(proposals, is_proposal, truth, 8, 3, by_chance=False)
    assert not regions.is_region.all()  # the second picture has too few
    found = model.region_losses(feature_map, proposals, is_proposal, truth)
    expected = head_losses(model, feature_map, regions, 3)
    assert {name: part.item() for name, part in found.items()} == pytest.approx(expected, rel=1e-4)


def test_a_quarter_of_the_regions_are_of_objects_at_most():
    truth = truth_of(TWO)
    near = torch.cat([truth.boxes, truth.boxes * 0.99, truth.boxes * 0.98, truth.boxes * 0.1], 1)  # 2 8 4
    real = truth.is_object.repeat(1, 4)
    with seeded():
        regions = draw_regions(near, real, truth, 8, 3, by_chance=True)
    is_object = regions.classes < 3
    assert is_object.sum(1).tolist() == [2, 2]
    overlap = box_iou(regions.boxes, truth.boxes).diagonal(dim1=1, dim2=2)
    assert overlap.shape[0] == 2
    assert (box_iou(regions.boxes, regions.targets).diagonal(dim1=1, dim2=2)[is_object] >= 0.5).all()
    assert regions.is_region.sum(1).tolist() == [4, 3]  # of the background there are two and one


def test_only_objects_teach_boxes_and_attributes():
    model = tiny_model()
    feature_map = model.backbone(pictures()).feature_maps[-1]
    low = torch.tensor([[[0.0, 0.8, 0.1, 0.9]]] * 2)
    losses = model.region_losses(feature_map, low, torch.ones(2, 1, dtype=torch.bool), truth_of([label(), label()]))
    assert losses["class"] > 0
    assert (losses["box"], losses["attribute"]) == (0, 0)
    losses["attribute"].backward()
    assert not model.head.attributes.weight.grad.any()
