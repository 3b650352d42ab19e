"""Boxes: hand-worked cases, plain loops in float64, and what must not change."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d, interpolate

from hfmm.nn import boxes
from hfmm.nn.boxes import box_area, box_iou, decode_boxes, encode_boxes, nms, roi_align, roi_pool, suppress

RAMP = torch.arange(64.0).view(1, 1, 8, 8)


def random_boxes(*shape, seed=0, whole=0):
    """Corners between 0 and 1, on a grid of so many steps if asked for, with a positive area."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 0.7
    high = low + 0.05 + torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * (0.95 - low)
    found = torch.cat([low, high], -1)
    if whole:
        found[..., :2], found[..., 2:] = (found[..., :2] * whole).floor(), (found[..., 2:] * whole).ceil()
        found /= whole
    return found


def iou_by_hand(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
    return inside / union if union else 0.0


def nms_by_hand(rectangles, scores, threshold, groups):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        if all(groups[i] != groups[j] or iou_by_hand(rectangles[i], rectangles[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def test_iou_of_a_quarter_overlap_by_hand():
    two = torch.tensor([[0.0, 0, 2, 2], [1.0, 1, 3, 3]])
    expected = torch.tensor([[1, 1 / 7], [1 / 7, 1]])  # 1 in common of 4 + 4 - 1
    torch.testing.assert_close(box_iou(two, two), expected)


def test_iou_of_boxes_that_touch_or_are_empty_is_zero():
    rectangles = torch.tensor([[0.0, 0, 1, 1], [1.0, 0, 2, 1], [0.5, 0.5, 0.5, 0.5], [2.0, 2, 1, 1]])
    assert torch.equal(box_iou(rectangles, rectangles), torch.diag(torch.tensor([1.0, 1, 0, 0])))
    assert torch.equal(box_area(rectangles), torch.tensor([1.0, 1, 0, 0]))


def test_iou_equals_a_loop_in_float64():
    a, b = random_boxes(3, 5), random_boxes(3, 7, seed=1)
    expected = [[[iou_by_hand(x, y) for y in right] for x in left] for left, right in zip(a, b, strict=True)]
    torch.testing.assert_close(box_iou(a, b), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_suppression_by_hand():
    """The second overlaps the first and is gone, so that the third, which overlaps only the second, stays."""
    row = torch.tensor([[0.0, 0, 10, 1], [4.0, 0, 14, 1], [8.0, 0, 18, 1]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(row, scores, 0.4).tolist() == [0, 2]
    assert nms(row, scores, 6 / 14).tolist() == [0, 1, 2]  # as much as the threshold is not more
    assert nms(row, scores.flip(0), 0.4).tolist() == [2, 0]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("count", [1, 40, 600])
def test_nms_equals_brute_force(count, threshold):
    rectangles = random_boxes(count, seed=count, whole=16)
    generator = torch.Generator().manual_seed(count)
    scores = torch.randint(0, 20, (count,), generator=generator).double() / 20  # many ties
    groups = torch.randint(0, 3, (count,), generator=generator)
    alone = torch.zeros(count)
    expected = nms_by_hand(rectangles.tolist(), scores.tolist(), threshold, alone)
    assert nms(rectangles, scores, threshold).tolist() == expected
    expected = nms_by_hand(rectangles.tolist(), scores.tolist(), threshold, groups.tolist())
    assert nms(rectangles, scores, threshold, groups).tolist() == expected


def test_blocks_change_nothing(monkeypatch):
    rectangles, scores = random_boxes(50, seed=3), torch.rand(50, generator=torch.Generator().manual_seed(3))
    expected = nms(rectangles, scores, 0.3)
    monkeypatch.setattr(boxes, "BLOCK", 7)
    assert torch.equal(nms(rectangles, scores, 0.3), expected)


def test_nothing_is_kept_of_nothing():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
    assert roi_align(RAMP, torch.zeros(1, 0, 4), 2).shape == (1, 0, 1, 2, 2)


def test_roi_align_on_the_ramp_by_hand():
    rectangles = torch.tensor([[[0.0, 0, 8, 8], [2.0, 2, 4, 4]]]) / 8
    found = roi_align(RAMP, rectangles, size=2)
    assert found[0, 0, 0].flatten().tolist() == [13.5, 17.5, 45.5, 49.5]  # means of the quadrants
    assert found[0, 1, 0].flatten().tolist() == [18, 19, 26, 27]  # the four pixels themselves


def align_by_hand(feature_map, box, size, samples):
    """The value at every point of every bin from its four pixels, in numpy and float64."""
    height, width = feature_map.shape[-2:]

    def value(x, y):
        x, y = min(max(x * width - 0.5, 0), width - 1), min(max(y * height - 0.5, 0), height - 1)
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        a, b = x - left, y - top
        four = feature_map[:, top : top + 2, left : left + 2]
        return (four * np.outer([1 - b, b], [1 - a, a])).sum((1, 2))

    x0, y0, x1, y1 = box
    bins = np.zeros((len(feature_map), size, size))
    for row in range(size * samples):
        for column in range(size * samples):
            u, v = ((place + 0.5) / (size * samples) for place in (column, row))
            bins[:, row // samples, column // samples] += value(x0 + u * (x1 - x0), y0 + v * (y1 - y0)) / samples**2
    return bins


def test_roi_align_equals_a_loop_in_float64():
    feature_map = torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rectangles = random_boxes(2, 4, seed=1)
    found = roi_align(feature_map, rectangles, size=3, samples=2)
    for picture in range(2):
        for number in range(4):
            expected = align_by_hand(feature_map[picture].numpy(), rectangles[picture, number].tolist(), 3, 2)
            np.testing.assert_allclose(found[picture, number].numpy(), expected, rtol=1e-10, atol=1e-12)


def test_roi_align_of_whole_pixels_equals_crop_and_interpolate():
    feature_map = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    crop = feature_map[..., 2:6, 3:7]
    found = roi_align(feature_map, torch.tensor([[[3.0, 2, 7, 6]]]) / 8, size=4, samples=1)
    torch.testing.assert_close(found[:, 0], interpolate(crop, size=4, mode="bilinear"))


def test_roi_align_is_consistent_under_translation():
    feature_map = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[[2.3, 3.1, 6.7, 8.2]]])
    moved = roi_align(feature_map.roll((2, 3), (-2, -1)), (box + torch.tensor([3.0, 2, 3, 2])) / 12, size=3)
    torch.testing.assert_close(moved, roi_align(feature_map, box / 12, size=3), rtol=1e-4, atol=1e-5)


def test_roi_pool_by_hand():
    found = roi_pool(RAMP, torch.tensor([[[0.0, 0, 8, 8], [1.9, 2.2, 4.1, 3.8], [3.0, 5, 3.2, 5.1]]]) / 8, size=2)
    assert found[0, 0, 0].flatten().tolist() == [27, 31, 59, 63]  # last pixels of the quadrants
    assert found[0, 1, 0].flatten().tolist() == [18, 19, 26, 27]  # sides are rounded to 2..4
    assert found[0, 2, 0].flatten().tolist() == [43] * 4  # at least the pixel (3, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_roi_pool_equals_adaptive_pooling_of_each_crop(size):
    feature_map = torch.randn(2, 3, 11, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rectangles = random_boxes(2, 6, seed=2)
    found = roi_pool(feature_map, rectangles, size)
    for picture in range(2):
        for number, (x0, y0, x1, y1) in enumerate(rectangles[picture].tolist()):
            columns, rows = (
                slice(round(a * n), max(round(b * n), round(a * n) + 1)) for a, b, n in ((x0, x1, 13), (y0, y1, 11))
            )
            expected = adaptive_max_pool2d(feature_map[picture, :, rows, columns], size)
            assert torch.equal(found[picture, number], expected)


@pytest.mark.parametrize("pool", [roi_align, roi_pool])
def test_pooling_has_the_gradient_of_finite_differences(pool):
    feature_map = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rectangles = random_boxes(1, 2, seed=4)
    assert torch.autograd.gradcheck(lambda given: pool(given, rectangles, 2), feature_map.requires_grad_())


@pytest.mark.parametrize("pool", [roi_align, roi_pool])
def test_boxes_that_change_places_change_their_features_places(pool):
    feature_map = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    rectangles, order = random_boxes(2, 5, seed=5).float(), torch.tensor([3, 1, 4, 0, 2])
    assert torch.equal(pool(feature_map, rectangles[:, order], 2), pool(feature_map, rectangles, 2)[:, order])


def test_offsets_by_hand():
    anchor, box = torch.tensor([0.0, 0, 2, 4]), torch.tensor([1.0, 2, 5, 4])  # centers (1, 2), (3, 3)
    expected = torch.tensor([1.0, 0.25, math.log(2), math.log(0.5)])
    torch.testing.assert_close(encode_boxes(box, anchor), expected)


def test_decoding_undoes_encoding():
    rectangles, anchors = random_boxes(3, 8), random_boxes(3, 8, seed=1)
    torch.testing.assert_close(decode_boxes(encode_boxes(rectangles, anchors), anchors), rectangles)


def test_no_offset_makes_an_infinite_box():
    found = decode_boxes(torch.full((4,), 1000.0), torch.tensor([0.0, 0, 1, 1]))
    torch.testing.assert_close(found[2:] - found[:2], torch.full((2,), 62.5))


@pytest.mark.parametrize("block", [7, 256])
def test_suppression_of_many_lists_is_nms_of_each(monkeypatch, block):
    monkeypatch.setattr(boxes, "BLOCK", block)
    lists = random_boxes(2, 3, 40)
    kept = suppress(lists, 0.3)
    falling = torch.arange(40, 0, -1)
    for row, found in zip(lists.flatten(0, 1), kept.flatten(0, 1), strict=True):
        assert torch.equal(found.nonzero()[:, 0], nms(row, falling, 0.3))
    assert suppress(lists[:, :, :0], 0.3).shape == (2, 3, 0)
