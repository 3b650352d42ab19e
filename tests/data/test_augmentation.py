"""Changes of training examples: what is told of places moves with the picture."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from hfmm.data import load
from hfmm.data.augmentation import Augmentation
from hfmm.errors import UsageError

RED = (255, 0, 0)


def marked() -> dict:
    """A picture with one red rectangle, told as an object and as a mask."""
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[4:9, 12:20] = RED
    mask = (pixels[..., 0] > 0).astype(np.int64)
    objects = [{"box": [12.0, 4.0, 20.0, 9.0], "label": 3, "color": "red"}]
    return {"id": "x", "image": Image.fromarray(pixels), "mask": mask, "objects": objects}


@pytest.mark.parametrize(
    "settings", [{"flip": True}, {"turn": True}, {"shift": 0.15}, {"flip": True, "turn": True, "shift": 0.1}]
)
def test_masks_and_boxes_move_with_the_pixels(settings):
    augment = Augmentation(**settings)
    seen = set()
    for seed in range(40):
        changed = augment(marked(), Random(seed))
        is_red = np.asarray(changed["image"])[..., 0] > 0  # H W
        assert (changed["mask"] == is_red).all()
        rows, columns = is_red.nonzero()
        (found,) = changed["objects"]
        assert found["box"] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert found["label"] == 3
        assert found["color"] == "red"
        seen.add((*is_red.shape, *found["box"]))
    assert len(seen) > 1


def test_what_leaves_the_picture_is_no_object():
    example = marked() | {"objects": [{"box": [0.0, 4.0, 1.0, 9.0], "label": 0}, {"box": [12, 4, 20, 9], "label": 1}]}
    counts = {len(Augmentation(shift=0.2)(example, Random(seed))["objects"]) for seed in range(30)}
    assert counts == {1, 2}


def test_it_is_a_function_of_the_generator_and_leaves_the_example_alone():
    augment = Augmentation(flip=True, turn=True, shift=0.2, light=0.3, erase=0.25)
    example = marked()
    first, again, other = (augment(example, Random(seed)) for seed in (1, 1, 2))
    assert first["image"].tobytes() == again["image"].tobytes()
    assert first["image"].tobytes() != other["image"].tobytes()
    assert example["image"].tobytes() == marked()["image"].tobytes()
    assert example["objects"] == marked()["objects"]


def test_light_and_erasing_change_values_and_no_places():
    gray = Image.new("RGB", (10, 10), (100, 100, 100))
    values = {Augmentation(light=0.2)({"image": gray}, Random(seed))["image"].getpixel((0, 0))[0] for seed in range(30)}
    assert min(values) >= 80
    assert max(values) <= 120
    assert len(values) > 5
    mean = np.asarray(marked()["image"]).mean((0, 1)).astype(np.uint8)
    for seed in range(20):  # the square of 10 pixels may hang half over an edge
        pixels = np.asarray(Augmentation(erase=0.5)(marked(), Random(seed))["image"])
        assert 25 <= (pixels == mean).all(-1).sum() <= 100
    assert Augmentation(erase=0.5)(marked(), Random(0))["objects"] == marked()["objects"]


def test_nothing_is_asked_nothing_changes():
    example = load("scenes:detection", split="test")[0]
    same = Augmentation()(example, Random(0))
    assert same["image"].tobytes() == example["image"].tobytes()
    assert [thing["box"] for thing in same["objects"]] == [thing["box"] for thing in example["objects"]]


def test_parts_are_parts():
    with pytest.raises(UsageError, match=r"data\.augmentation\.shift is 4"):
        Augmentation(shift=4)
