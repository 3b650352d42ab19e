"""Explanations of generators: what the latents keep of a picture, and the manifold around it."""

import pytest
import torch

import hfmm
from hfmm.explanation.generation import manifold
from hfmm.explanation.latents import between
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


def explained(name, folder):
    """A model of random weights, and the explanation of a digit."""
    with seeded():
        model = hfmm.create_model(name).eval()
    processor = hfmm.create_processor(name)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    picture = hfmm.load_data("digits", split="test")[0]["image"]
    return model, processor([picture], return_tensors="pt")["pixel_values"], hfmm.explain(folder, picture)


def test_surprise_and_lower_halves_are_shown(tmp_path):
    model, pixel_values, explanation = explained("pixelcnn", tmp_path)
    with torch.no_grad():
        total = -model.log_likelihood(pixel_values).item()
    assert explanation.data["nats"] == pytest.approx(total, rel=1e-4)
    assert sum(map(sum, explanation.data["nats_of_pixels"])) == pytest.approx(total, rel=1e-4)
    assert explanation.title.startswith(f"{total:.1f} nats, ")
    assert explanation.picture.width == pytest.approx(3 * explanation.picture.height, rel=0.5)


def test_the_way_between_two_codes_is_straight():
    first, second = [torch.zeros(1, 1, 2, 2)], [torch.ones(1, 1, 2, 2)]
    assert between(first, second, 3)[0][:, 0, 0, 0].tolist() == [0.0, 0.5, 1.0]


def test_codes_between_a_picture_and_its_mirror_image_are_shown(tmp_path):
    model, pixel_values, explanation = explained("glow", tmp_path)
    with torch.no_grad():
        nats = -model.log_likelihood(pixel_values, torch.Generator().manual_seed(0)).item()
        spread = [part.std().item() for part in model.encode(pixel_values)]
    assert explanation.data["bits_per_dim"] == pytest.approx(nats / 64 / 0.693147, rel=1e-4)
    assert explanation.data["spread"] == pytest.approx(spread)
    assert explanation.data["temperatures"][0] == 0
