"""Scores of models that choose among labels of which some were never seen."""

import pytest
import torch
from PIL import Image

from hfmm.data.examples import ListExamples
from hfmm.errors import DataError, UsageError
from hfmm.evaluation import Asked, score_model
from hfmm.evaluation.zero_shot import scores_of_parts, sorted_names

TASK = "zero-shot-image-classification"
PARENTS = {"entity": [], "ring": ["entity"], "star": ["entity"], "red ring": ["ring"], "red star": ["star"],
           "blue ring": ["ring"], "blue star": ["star"]}  # fmt: skip
LABELS = ["red ring", "blue ring", "red star", "blue star"]


class Reader(torch.nn.Module):
    """Reads the scores of its labels from a picture's first pixels."""

    device = torch.device("cpu")

    class config:
        id2label = dict(enumerate(LABELS))

    def unseen_labels(self):
        return ["blue star", "blue cross"]

    def label_hierarchy(self):
        return {}

    def forward(self, pixel_values):
        return type("Output", (), {"logits_per_image": pixel_values})


class Processor:
    do_resize = True
    crop_size = {"height": 1, "width": 4}

    def __call__(self, images, return_tensors):
        values = [[image.getpixel((column, 0))[0] for column in range(4)] for image in images]
        return type("Batch", (dict,), {"to": lambda self, device: self})(pixel_values=torch.tensor(values).float())


def examples(rows):
    names = ("red ring", "blue ring", "red star", "blue star", "blue cross", "green ring")
    told = []
    for scores, label in rows:
        image = Image.new("RGB", (4, 1))
        for column, score in enumerate(scores):
            image.putpixel((column, 0), (score, 0, 0))
        told.append({"image": image, "label": names.index(label) if label else None})
    return ListExamples(told, {"image": "image", "label": "label"}, label_names=names)


def test_seen_and_unseen_labels_are_scored_apart_and_together():
    rows = [
        ([9, 1, 0, 0], "red ring"),  # right
        ([5, 1, 0, 9], "red ring"),  # right among the seen labels alone
        ([9, 1, 0, 5], "blue star"),  # right among the unseen labels alone, second among all
        ([0, 0, 0, 9], "blue cross"),  # a label that the model has no output for
        ([0, 0, 9, 0], "green ring"),  # nothing is known of it: does not count
        ([0, 0, 9, 0], None),
    ]
    outcome = score_model(TASK, Reader(), Processor(), examples(rows), Asked())
    assert outcome.scores == {
        "hit_1": 0.25, "hit_2": 0.75, "seen_hit_1": 1.0, "unseen_hit_1": 0.5, "unseen_among_all_hit_1": 0.0,
    }  # fmt: skip
    assert outcome.predictions == ["red ring", "blue star", "red ring", "blue star", "red star", "red star"]


def test_without_unseen_labels_there_are_no_parts_and_with_a_hierarchy_precision():
    rankings = [["red ring", "blue ring", "red star", "blue star"]]
    found = scores_of_parts(rankings, ["blue ring"], set(), PARENTS)
    assert found == {
        "hit_1": 0.0, "hit_2": 1.0, "hierarchical_precision_1": 0.0, "hierarchical_precision_2": 1.0,
    }  # fmt: skip


def test_of_equal_scores_the_first_label_comes_first():
    assert sorted_names(["a", "b", "c"], [0.0, 1.0, 1.0]) == ["b", "c", "a"]


def test_what_cannot_be_scored_is_told():
    with pytest.raises(DataError, match="no example of list train has one of the model's 4 labels"):
        score_model(TASK, Reader(), Processor(), examples([([0, 0, 0, 0], None)]), Asked())
    with pytest.raises(UsageError, match="unknown metric of a zero-shot classifier 'bleu'"):
        score_model(TASK, Reader(), Processor(), examples([([0, 0, 0, 0], None)]), Asked(metrics=["bleu"]))
    with pytest.raises(UsageError, match="Identity embeds no texts"):
        score_model(TASK, torch.nn.Identity(), Processor(), examples([([0, 0, 0, 0], None)]), Asked())
