"""Mean intersection over union: by hand, and equal to a statement of it one class after the other."""

import numpy as np
import pytest
import torch

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def compute(predictions, references, **options):
    return metrics.load("segmentation").compute(predictions=predictions, references=references, **options)


def stated(predictions, references):
    """Intersection over union of each class that occurs, from sets of pixels."""
    said = np.concatenate([np.ravel(mask) for mask in predictions])
    truth = np.concatenate([np.ravel(mask) for mask in references])
    said, truth = said[truth != 255], truth[truth != 255]
    each = {}
    for label in sorted({*said.tolist(), *truth.tolist()}):
        each[label] = ((said == label) & (truth == label)).sum() / ((said == label) | (truth == label)).sum()
    return {"mean_iou": np.mean([*each.values()]), "pixel_accuracy": (said == truth).mean()}, each


def test_mean_iou_by_hand():
    """Class 0: one pixel of two; class 1: one of three, said twice and true twice; class 2 is only said."""
    found = compute([[[0, 1, 1, 2]]], [[[0, 0, 1, 1]]], per_class=True)
    assert found["iou_per_class"] == pytest.approx([1 / 2, 1 / 3, 0])
    assert found["mean_iou"] == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert found["pixel_accuracy"] == 0.5


def test_counts_are_of_all_pictures_together():
    """Twice as many pixels count twice; the mean of the pictures' own scores would be 3 / 4."""
    found = compute([[[1, 1]], [[1]]], [[[1, 0]], [[1]]])
    assert found["mean_iou"] == pytest.approx((2 / 3 + 0) / 2)


def test_ignored_pixels_do_not_count():
    assert compute([[[3, 1]]], [[[255, 1]]], per_class=True)["mean_iou"] == 1
    assert compute([[[255, 1]]], [[[0, 1]]])["mean_iou"] == pytest.approx(1 / 3)  # said where it is not asked for


def test_classes_that_do_not_occur_are_left_out():
    assert compute([[[5, 0]]], [[[5, 0]]], per_class=True)["iou_per_class"] == [1, None, None, None, None, 1]
    assert compute([[[5, 0]]], [[[5, 0]]]) == {"mean_iou": 1, "pixel_accuracy": 1}


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_sets_of_pixels_give(seed):
    draw = np.random.default_rng(seed)
    sizes = draw.integers(3, 12, (4, 2))
    references = [draw.choice([0, 1, 2, 7, 255], size) for size in sizes]
    noise = [draw.integers(0, 9, size) for size in sizes]
    predictions = [np.where((mask == 255) | (draw.random(mask.shape) < 0.4), other, mask)
                   for mask, other in zip(references, noise, strict=True)]  # fmt: skip
    expected, each = stated(predictions, references)
    found = compute(predictions, references, per_class=True)
    per_class = found.pop("iou_per_class")
    assert found == pytest.approx(expected)
    assert {label: value for label, value in enumerate(per_class) if value is not None} == pytest.approx(each)


def test_batches_lists_and_tensors_are_as_good():
    metric = metrics.load("segmentation")
    metric.add(prediction=[[0, 1]], reference=torch.tensor([[0, 0]]))
    metric.add_batch(predictions=np.array([[[1]]], np.uint8), references=[[[1]]])
    assert metric.compute() == compute([[[0, 1]], [[1]]], [[[0, 0]], [[1]]])


REFUSALS = {
    "prediction 0 is not a table of class numbers": ([[0, 1]], [[[0, 1]]]),
    "reference 0 is not a table of class numbers from 0": ([[[0, 1]]], [[[0, -1]]]),
    "prediction 0 has rows of different lengths": ([[[0, 1], [0]]], [[[0, 1]]]),
    "prediction 0 has 1 x 2 pixels but its reference 2 x 1": ([[[0, 1]]], [[[0], [1]]]),
    "no pixel has a class": ([[[0, 1]]], [[[255, 255]]]),
    "1 predictions but 2 lists of references": ([[[0]]], [[[0]], [[0]]]),
}


@pytest.mark.parametrize("words", REFUSALS)
def test_refusals_are_one_clear_line(words):
    with pytest.raises((UsageError, DataError)) as caught:
        compute(*REFUSALS[words])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
