"""Mean average precision: by hand, and equal to pycocotools."""

import contextlib
import io

import numpy as np
import pytest
import torch

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def one(boxes, labels=None, scores=None):
    found = {"boxes": boxes, "labels": [0] * len(boxes) if labels is None else labels}
    return found if scores is None else {**found, "scores": scores}


def compute(predictions, references):
    return metrics.load("detection").compute(predictions=predictions, references=references)


def by_coco(predictions, references):
    """The same by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def sides(box):
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    truth, found = [], []
    for picture, (given, said) in enumerate(zip(references, predictions, strict=True), 1):
        for box, label in zip(given["boxes"], given["labels"], strict=True):
            xywh = sides(box)
            truth.append({"image_id": picture, "category_id": label, "bbox": xywh, "area": xywh[2] * xywh[3]})
            truth[-1] |= {"id": len(truth), "iscrowd": 0}
        for box, label, score in zip(said["boxes"], said["labels"], said["scores"], strict=True):
            found.append({"image_id": picture, "category_id": label, "bbox": sides(box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": picture} for picture in range(1, len(references) + 1)],
            "categories": [{"id": label} for label in range(100)],
            "annotations": truth,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return dict(zip(("map", "map_50", "map_75"), judge.stats.tolist(), strict=False))


def samples(pictures, classes, crowd=6, seed=0, step=0.0):
    """Objects, and detections some of which are near them; coordinates and scores on a grid where ties are wanted."""
    draw = np.random.default_rng(seed)

    def rounded(values, step):
        return np.round(values / step) * step if step else values

    predictions, references = [], []
    for _ in range(pictures):
        count, extra = draw.integers(0, crowd), draw.integers(0, crowd)
        low = draw.uniform(0, 40, (count, 2))
        boxes = rounded(np.concatenate([low, low + draw.uniform(4, 24, (count, 2))], 1), step)
        labels = draw.integers(0, classes, count)
        twice = np.concatenate([np.arange(count), draw.integers(0, max(count, 1), extra if count else 0)])
        near = rounded(boxes[twice] + draw.normal(0, 1.5, (len(twice), 4)), step)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        said = np.where(draw.random(len(twice)) < 0.8, labels[twice], draw.integers(0, classes, len(twice)))
        scores = rounded(draw.random(len(twice)), 0.1 if step else 0)
        references.append(one(boxes.tolist(), labels.tolist()))
        predictions.append(one(near.tolist(), said.tolist(), scores.tolist()))
    return predictions, references


def test_a_perfect_detector_has_one():
    boxes = [[0, 0, 10, 10], [20, 20, 30, 40]]
    found = compute([one(boxes, [0, 3], [0.5, 0.9])], [one(boxes, [0, 3])])
    assert found == pytest.approx({"map": 1, "map_50": 1, "map_75": 1})


def test_average_precision_by_hand():
    """Two objects; the best detection is right with an overlap of 0.6, the second wrong, the third exact."""
    truth = [[0, 0, 10, 10], [20, 0, 30, 10]]
    said = [[0, 0, 10, 6], [50, 50, 60, 60], [20, 0, 30, 10]]
    found = compute([one(said, scores=[0.9, 0.8, 0.7])], [one(truth)])
    half = (51 * 1 + 50 * 2 / 3) / 101  # precision 1 up to a recall of a half, then 2 of 3
    assert found["map_50"] == pytest.approx(half)
    alone = 51 * (1 / 3) / 101  # the first is wrong too: one of three, and never a recall above a half
    assert found["map_75"] == pytest.approx(alone)
    assert found["map"] == pytest.approx((3 * half + 7 * alone) / 10)


def test_an_object_is_found_once():
    truth = [[0, 0, 10, 10]]
    late = compute([one(truth * 2, scores=[0.9, 0.8])], [one(truth)])
    assert late["map"] == pytest.approx(1)  # the double comes after full recall
    found = compute([one(truth * 2, scores=[0.9, 0.8]), one(truth, scores=[0.7])], [one(truth), one(truth)])
    assert found["map_50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


@pytest.mark.parametrize("step", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    ("pictures", "classes", "crowd"), [(1, 1, 4), (30, 1, 6), (40, 5, 6), (60, 80, 12), (3, 2, 300)]
)
def test_it_is_that_of_pycocotools(pictures, classes, crowd, step):
    for seed in range(3):
        predictions, references = samples(pictures, classes, crowd, seed + 1, step)
        if not any(truth["labels"] for truth in references) or not any(said["labels"] for said in predictions):
            continue
        assert compute(predictions, references) == pytest.approx(by_coco(predictions, references), abs=1e-9)


def test_empty_pictures_and_classes_without_objects():
    truth, empty = one([[0, 0, 10, 10]]), one([], [])
    nothing = one([], [], [])
    assert compute([nothing], [truth])["map"] == 0
    wrong = one([[0, 0, 10, 10], [1, 1, 5, 5]], [0, 7], [0.9, 0.95])  # nobody has an object of class 7
    assert compute([wrong, nothing], [truth, empty])["map"] == pytest.approx(1)
    spoiled = one([[3, 3, 9, 9]], scores=[0.99])
    assert compute([wrong, spoiled], [truth, empty])["map"] == pytest.approx(0.5)


def test_tensors_and_arrays_are_as_good_as_lists():
    predictions, references = samples(5, 3, seed=4)
    expected = compute(predictions, references)
    for kind in (torch.tensor, np.array):
        given = [
            [{name: kind(values) for name, values in picture.items()} for picture in pictures]
            for pictures in (predictions, references)
        ]
        assert compute(*given) == pytest.approx(expected, abs=1e-6)


REFUSALS = {
    "prediction 0 is not a dict of boxes, labels, scores": ([one([])], [one([])]),
    "reference 0 is not a dict of boxes, labels": ([one([], scores=[])], [[1]]),
    "prediction 0 has 1 boxes, 2 labels and 1 scores": ([one([[0, 0, 1, 1]], [0, 0], [1])], [one([])]),
    "reference 0 has values that are no boxes": ([one([], scores=[])], [one([[0, 0, 1]], [0])]),
    "no picture has an object": ([one([], scores=[])], [one([])]),
}


@pytest.mark.parametrize("words", REFUSALS)
def test_refusals_are_one_clear_line(words):
    with pytest.raises((UsageError, DataError)) as caught:
        compute(*REFUSALS[words])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
