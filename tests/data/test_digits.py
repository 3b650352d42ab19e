"""The built-in handwritten digits: real pictures, fixed splits, exact grey levels."""

import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hfmm.data import digits
from hfmm.data.digits import NAMES, Digits
from hfmm.errors import UsageError


def levels(example):
    """The 8 x 8 levels, 0 to 16, behind a picture."""
    return np.rint(np.asarray(example["image"])[::4, ::4, 0] * (16 / 255)).astype(int)


def test_splits_have_1200_297_and_300():
    assert [len(Digits(split)) for split in ("train", "validation", "test")] == [1200, 297, 300]


def test_every_stored_digit_is_in_one_split_once():
    source = load_digits()
    stored = Counter(
        (image.astype(int).tobytes(), int(label)) for image, label in zip(source.images, source.target, strict=True)
    )
    found = Counter(
        (levels(example).tobytes(), example["label"])
        for split in ("train", "validation", "test")
        for example in Digits(split)
    )
    assert found == stored


def test_each_stored_pixel_is_a_grey_square_of_four_by_four():
    picture = np.asarray(Digits("test")[7]["image"])
    assert picture.shape == (32, 32, 3)
    blocks = picture.reshape(8, 4, 8, 4, 3)
    assert (blocks == blocks[:, :1, :, :1, :1]).all()


def test_the_first_caption_says_the_label():
    example = Digits()[0]
    assert example["captions"] == [f"a handwritten {NAMES[example['label']]}"]
    assert set(example) == {"id", *Digits.features}


def test_every_split_holds_every_digit():
    for split in ("train", "validation", "test"):
        assert {example["label"] for example in Digits(split)} == set(range(10))


def test_the_shuffle_is_fixed():
    assert [Digits("test")[row]["label"] for row in range(5)] == [2, 5, 8, 3, 0]
    assert Digits("test")[3]["id"] == "digits-test-3"


def test_it_survives_pickling():
    again = pickle.loads(pickle.dumps(Digits("validation")))
    assert again[11]["image"].tobytes() == Digits("validation")[11]["image"].tobytes()


def test_an_unknown_split_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'train'"):
        Digits("trian")


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    digits._source.cache_clear()
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"hfmm\[eval\]"):
        Digits()
