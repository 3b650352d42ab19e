"""What a generator draws: nearest pictures as the metric finds them, the judge's verdict, and the way between two."""

import numpy as np
import pytest
import torch

import hfmm
from hfmm.explanation.samples import COLUMNS, NEAREST, SAMPLES, as_drawn, explain_samples, pixels
from hfmm.loading import load
from hfmm.metrics.memorization import nearest
from tests.testing import seeded


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    with seeded():
        hfmm.create_model("gan").save_pretrained(folder)
    hfmm.create_processor("gan").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def digits():
    return hfmm.load_data("digits", split="train").select(range(40))


def test_the_nearest_are_those_of_the_metric(run, digits, monkeypatch):
    monkeypatch.setattr("hfmm.explanation.samples.CHUNK", 15)
    found = hfmm.explain(run, data=digits)
    loaded = load(run)
    samples = loaded.model.generate_images(SAMPLES, generator=torch.Generator().manual_seed(0))
    rows = pixels(as_drawn(loaded.processor, [example["image"] for example in digits]))
    where, far = nearest((samples * 255).round().flatten(1).numpy() / np.float32(255), [rows])
    assert [ids[0] for ids in found.data["nearest"]] == [digits.peek(row)["id"] for row in where.tolist()]
    assert [row[0] for row in found.data["distances"]] == pytest.approx(far.tolist(), rel=1e-4)
    assert all(row == sorted(row) and len(row) == NEAREST for row in found.data["distances"])
    assert found.title.startswith(f"{SAMPLES} new pictures; the nearest of 40 lie at ")


def test_copies_lie_at_no_distance(digits):
    processor = hfmm.create_processor("vae")

    class Copies:
        def generate_images(self, count, generator):
            pictures = [digits[row]["image"] for row in range(count)]
            return processor(pictures, do_binarize=False, return_tensors="pt")["pixel_values"]

    found = explain_samples(Copies(), processor, digits)
    assert [ids[0] for ids in found.data["nearest"]] == [digits.peek(row)["id"] for row in range(SAMPLES)]
    assert [row[0] for row in found.data["distances"]] == [0] * SAMPLES


def test_the_judge_and_the_way_between_two(run, digits):
    loaded = load(run)
    picture = digits[0]["image"]
    found = hfmm.explain(run, picture)
    with torch.no_grad():
        verdict = loaded.model.judge(loaded.processor([picture], return_tensors="pt")["pixel_values"])
    assert found.data["judged"] == pytest.approx(verdict.item())
    assert found.data["distances"] == sorted(found.data["distances"])
    assert len(found.data["judged_on_the_way"]) == COLUMNS
    assert found.title.startswith(f"D(x) = {verdict.item():.2f}; the nearest of 256 new pictures lies at ")
