"""Explanations of models that draw in steps: canvases over time and the windows on them."""

import json

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.explanation.canvases import COLUMNS, DRAWN, DRAWS, SIDE, framed
from tests.testing import seeded


def saved(folder, **fields):
    with seeded():
        hfmm.create_model("draw", **fields).save_pretrained(folder)
    hfmm.create_processor("draw").save_pretrained(folder)
    return folder


def picture():
    return hfmm.load_data("digits", split="test")[0]["image"]


def test_a_window_lies_through_its_outermost_filters_with_a_border_of_sigma():  # figure 1
    found = framed(Image.new("L", (8, 8)), (4.5, 3.5, 2.0, 0.25, 1.0), 3, DRAWS)
    scale, is_red = SIDE / 8, torch.tensor([list(found.get_flattened_data())]).eq(torch.tensor(DRAWS)).all(-1)
    rows, columns = is_red.view(SIDE, SIDE).nonzero().unbind(1)
    # centers of the outer filters: x 2.5 and 6.5, y 1.5 and 5.5, in pixels of which the first has its center at 1/2
    for places, low, high in ((columns, 2.0, 6.0), (rows, 1.0, 5.0)):
        assert abs(places.min().item() - (low - 0.25) * scale) <= 1
        assert abs(places.max().item() - (high + 0.25) * scale) <= 1


def test_steps_and_windows_are_shown_and_told(tmp_path):
    where = saved(tmp_path / "run", num_glimpses=COLUMNS + 5)
    explanation = hfmm.explain(where, picture())
    data = json.loads(json.dumps(explanation.to_dict()))
    assert len(data["nats"]) == len(data["read_windows"]) == len(data["write_windows"]) == COLUMNS + 5
    assert explanation.title.startswith(f"{sum(data['nats']):.1f} nats read in {COLUMNS + 5} steps")
    assert explanation.picture.width > COLUMNS * SIDE > explanation.picture.width - 2 * SIDE
    assert explanation.picture.height > (2 + DRAWN) * SIDE
    assert torch.tensor(data["read_windows"])[0, 2] == pytest.approx(3.5 * torch.e**-0.5, rel=1e-4)  # where it begins
    explanation.save(tmp_path / "steps.gif")
    with Image.open(tmp_path / "steps.gif") as moving:
        assert moving.is_animated
        assert moving.width > (1 + DRAWN) * SIDE


def test_whole_pictures_have_no_windows(tmp_path):
    explanation = hfmm.explain(saved(tmp_path, read_size=None, write_size=None), picture())
    assert "read_windows" not in explanation.data
    assert explanation.frames[0].width < (2 + DRAWN) * SIDE
