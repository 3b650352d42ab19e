"""Explanations of captioners: the words, where each looked, and a picture of it."""

import json

import numpy as np
import pytest
from PIL import Image

import hfmm
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.drawing import panels, wrap
from hfmm.explanation.overlay import overlay, seen_by


@pytest.fixture(scope="module")
def picture():
    return hfmm.load_data("scenes", split="test")[3]["image"]


def test_attention_of_every_word(picture, tmp_path):
    model, processor = hfmm.create_model("show_attend_tell").eval(), hfmm.create_processor("show_attend_tell")
    explanation = explain_caption(model, processor, picture, num_beams=2, max_new_tokens=6)
    data = explanation.to_dict()
    attention = np.array(data["attention"])
    assert attention.shape == (len(data["words"]), 8, 8)
    np.testing.assert_allclose(attention.sum((1, 2)), 1, atol=1e-4)
    assert data["caption"] == explanation.title
    for name in ("why.png", "why.json", "why.html"):
        explanation.save(tmp_path / name)
    assert Image.open(tmp_path / "why.png").size == explanation.picture.size
    assert json.loads((tmp_path / "why.json").read_text())["words"] == data["words"]
    assert "data:image/png;base64," in (tmp_path / "why.html").read_text()


def test_hard_attention_shows_the_place_that_it_read(picture):
    model, processor = (
        hfmm.create_model("show_attend_tell", preset="hard").eval(),
        hfmm.create_processor("show_attend_tell"),
    )
    data = explain_caption(model, processor, picture, num_beams=1, max_new_tokens=4).to_dict()
    likeliest = [np.unravel_index(np.argmax(attention), (8, 8)) for attention in data["attention"]]
    assert data["read"] == [[int(row), int(column)] for row, column in likeliest]


def test_without_attention_the_best_captions_are_shown(picture):
    model, processor = hfmm.create_model("show_and_tell").eval(), hfmm.create_processor("show_and_tell")
    data = explain_caption(model, processor, picture, max_new_tokens=5).to_dict()
    assert len(data["captions"]) == 3
    assert data["scores"] == sorted(data["scores"], reverse=True)


def test_overlay_keeps_what_was_looked_at_and_dims_the_rest():
    white = Image.new("RGB", (64, 64), (255, 255, 255))
    attention = np.zeros((8, 8))
    attention[2, 5] = 1.0
    lit = np.asarray(overlay(white, attention))[:, :, 0]
    brightest = np.unravel_index(lit.argmax(), lit.shape)
    assert (brightest[0] // 8, brightest[1] // 8) == (2, 5)
    assert lit[60, 2] < 110


def test_seen_by_shows_the_square_that_the_model_saw():
    processor = hfmm.create_processor("show_attend_tell")
    wide = Image.new("RGB", (256, 64), (255, 0, 0))
    wide.paste((0, 0, 255), (96, 0, 160, 64))  # only the middle square is blue
    assert np.asarray(seen_by(processor, wide)).reshape(-1, 3).mean(0).round().tolist() == [0, 0, 255]


def test_panels_hold_every_picture_and_wrap_their_words():
    sheet = panels([Image.new("RGB", (10, 20))] * 5, ["one two three " * 4] * 5, columns=2, side=100)
    assert sheet.width == 2 * 106 + 6
    assert sheet.height > 3 * 100
    assert wrap("a b", 1) == ["a", "b"]
