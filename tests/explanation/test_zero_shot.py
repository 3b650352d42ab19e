"""Labels that lie nearest to a picture."""

import pytest
import torch

import hfmm
from hfmm.errors import UsageError
from hfmm.explanation import EXPLAINERS
from hfmm.explanation.zero_shot import explain_label, nearest_labels
from tests.testing import seeded

NAMES = ["red ring", "blue ring", "green star"]


def parts():
    with seeded():
        model = hfmm.create_model("devise", word_size=6, num_labels=3, unseen_labels=["blue ring"]).eval()
    model.set_labels(NAMES, torch.eye(6)[:3])
    return model, hfmm.create_processor("devise"), hfmm.load_data("scenes", size=1)[0]["image"]


def test_the_nearest_labels_come_first_with_their_cosines():
    model, processor, image = parts()
    labels, cosines = nearest_labels(model, processor, image, 5)
    with torch.no_grad():
        expected = model.rate_labels(processor(images=[image])["pixel_values"])[0]
    assert labels == [NAMES[number] for number in expected.argsort(descending=True)]
    assert cosines == pytest.approx(sorted(expected.tolist(), reverse=True))


def test_an_explanation_says_which_labels_were_never_seen():
    model, processor, image = parts()
    explanation = EXPLAINERS["zero-shot-image-classification"](model, processor, image, truth="blue ring")
    assert explanation.title == explanation.data["labels"][0]
    assert explanation.data["unseen"] == ["blue ring"]
    assert explanation.picture.getcolors(2**20)


def test_a_model_without_labels_is_refused():
    _, processor, image = parts()
    with pytest.raises(UsageError, match="Identity has no labels of its own"):
        explain_label(torch.nn.Identity(), processor, image)
