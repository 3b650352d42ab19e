"""Explanations of generators: what the latents keep of a picture, and the manifold around it."""

import pytest
import torch

import hfmm
from hfmm.explanation.generation import manifold
from hfmm.nn.gaussians import kl_to_standard_normal
from tests.testing import seeded


def test_a_manifold_is_a_grid_of_equal_probability():  # figure 4
    values = manifold(5)
    torch.testing.assert_close(torch.special.ndtr(values), torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
    torch.testing.assert_close(values, -values.flip(0))


def test_the_latents_that_say_most_are_shown(tmp_path):
    with seeded():
        model = hfmm.create_model("vae").eval()
    processor = hfmm.create_processor("vae")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    picture = hfmm.load_data("digits", split="test")[0]["image"]
    explanation = hfmm.explain(tmp_path, picture)
    with torch.no_grad():
        mean, log_variance = model.encode(processor([picture], return_tensors="pt")["pixel_values"])
    total = kl_to_standard_normal(mean, log_variance).item()
    assert sum(explanation.data["nats"]) == pytest.approx(total, rel=1e-4)
    first, second = explanation.data["latents"]
    assert sorted(explanation.data["nats"])[-2:] == [explanation.data["nats"][second], explanation.data["nats"][first]]
    assert explanation.picture.width > explanation.picture.height / 2
    assert f"latents {first} and {second}" in explanation.title
