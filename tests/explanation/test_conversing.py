"""Why an answer: a panel a token, shares of patches, and what cannot be shown."""

import numpy as np
import pytest

from hfmm.errors import UsageError
from hfmm.explanation.conversing import explain_dialogue
from tests.models.generalist import tiny_llava as tiny


def test_each_token_of_an_answer_looks_at_patches():
    reader = tiny.processor()
    found = explain_dialogue(tiny.model(reader), reader, tiny.picture(), ["what color is the circle", "where is it"])
    assert [turn["question"] for turn in found.data["turns"]] == ["what color is the circle", "where is it"]
    for turn in found.data["turns"]:
        maps = np.array(turn["attention"])
        assert maps.shape == (len(turn["words"]), 2, 2)
        assert (maps >= 0).all()
        np.testing.assert_allclose(maps.sum((1, 2)), turn["on_picture"], atol=1e-4)
        assert 0 < max(turn["on_picture"]) < 1
    assert found.title.startswith("what color is the circle: ")
    assert found.picture.width > 160


def test_a_picture_alone_asks_nothing():
    reader = tiny.processor()
    with pytest.raises(UsageError, match="what is asked of the picture"):
        explain_dialogue(tiny.model(reader), reader, tiny.picture())
