"""Colorizer: what the paper says, equation by equation; the shared contract comes from ModelTests."""

import numpy as np
import peft
import pytest
import torch
from PIL import Image
from torch import nn

import hfmm
from hfmm.errors import UsageError
from hfmm.models.generation.colorizer.color_colorizer import gamut_bins, lab_to_rgb, rgb_to_lab
from hfmm.models.generation.colorizer.configuration_colorizer import ColorizerConfig
from hfmm.models.generation.colorizer.modeling_colorizer import (
    ColorizerForImageToImage,
    annealed_mean,
    class_weights,
    smoothed,
    soft_encoding,
    upsampled,
)
from hfmm.training.objectives.editing import Coloring
from tests.testing import ModelTests, descend, seeded
from tests.testing_hub import Bundles

TINY = {
    "hidden_sizes": [6, 8], "num_layers": [1, 2], "strides": [2, 2], "dilations": [1, 2], "decoder_size": 8,
    "grid_size": 40, "neighbor_width": 20,
}  # fmt: skip


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return ColorizerForImageToImage(ColorizerConfig(**{**TINY, **fields})).eval()


class TestColorizer(ModelTests, Bundles):
    architecture = "colorizer"
    model_class = ColorizerForImageToImage
    overfit_ratio = 0.5  # of a cross-entropy that the shared colors keep from falling to zero

    def config(self):
        return ColorizerConfig(**TINY)

    def inputs(self):
        lab = rgb_to_lab(random(3, 3, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3))
        return {"pixel_values": lab[:, :1] / 50 - 1, "labels": lab[:, 1:] / 110}

    def adapted(self):
        """Without dilated convolutions, which peft's adapters would run undilated."""
        layers = {name: part for name, part in self.model().named_modules() if isinstance(part, nn.Conv2d)}
        targets = [name for name, part in layers.items() if part.dilation == (1, 1)]
        assert len(targets) == len(layers) - 2
        with seeded(1):
            return peft.get_peft_model(self.model(), peft.LoraConfig(r=4, target_modules=targets))


class TestRegression(TestColorizer):
    def config(self):
        return ColorizerConfig(**TINY, target="mean")


# Lab

REFERENCES = {  # of the sheet
    (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
    (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("color", REFERENCES)
def test_lab_of_known_colors(color):
    found = rgb_to_lab(torch.tensor(color)[:, None, None]).flatten()
    torch.testing.assert_close(found, torch.tensor(REFERENCES[color]), rtol=0, atol=6e-3)


def test_grays_have_no_color():
    gray = torch.linspace(0, 1, 256).expand(3, 1, 256)
    assert rgb_to_lab(gray)[1:].abs().max() < 5e-3


def test_lab_and_back():
    rgb = random(2, 3, 40, 40)
    rgb[0, :, 0] = torch.linspace(0, 0.05, 40)  # where the curves are lines
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, rtol=0, atol=1e-4)


def test_lab_is_that_of_scikit_image():
    peer = pytest.importorskip("skimage.color", reason="scikit-image")
    rgb = random(3, 30, 30).double()
    expected = peer.rgb2lab(rgb.permute(1, 2, 0).numpy())
    np.testing.assert_allclose(rgb_to_lab(rgb).permute(1, 2, 0).numpy(), expected, atol=1e-3)
    lab = torch.stack([100 * random(30, 30), *(200 * random(2, 30, 30, seed=1) - 100)]).double()
    expected = peer.lab2rgb(lab.permute(1, 2, 0).numpy())
    np.testing.assert_allclose(lab_to_rgb(lab).permute(1, 2, 0).numpy(), expected, atol=1e-4)


def test_bins_are_those_that_a_color_falls_into():
    """Also of colors inside the cube: every fifth level of each channel reaches no bin that its faces do not."""
    levels = torch.arange(0, 256, 5).double() / 255
    cube = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).flatten(2)  # 3 52 2704
    inside = (rgb_to_lab(cube)[1:].flatten(1) / 10).round().long() * 10
    found = {(a, b) for a, b in inside.T.tolist()}
    bins = set(gamut_bins(10))
    assert len(bins) == 261  # the paper keeps 313
    assert found <= bins
    assert len(bins - found) < 10  # in corners that only levels between reach
    assert (0, 0) in bins


# The distribution


def test_soft_encoding_by_numpy():  # section 2.1
    bins = np.array(gamut_bins(10), float)
    colors = np.random.default_rng(0).uniform(-60, 60, (7, 2))
    found = soft_encoding(torch.from_numpy(colors), torch.from_numpy(bins), 5, 5.0).numpy()
    for color, row in zip(colors, found, strict=True):
        distances = np.sqrt(np.square(bins - color).sum(1))
        nearest = np.argsort(distances)[:5]
        weights = np.exp(-(distances[nearest] ** 2) / (2 * 5**2))
        expected = np.zeros(len(bins))
        expected[nearest] = weights / weights.sum()
        np.testing.assert_allclose(row, expected, atol=1e-9)


def test_rare_colors_weigh_more_and_the_mean_weight_is_one():  # Eq. 4
    frequencies = torch.tensor([0.7, 0.2, 0.1, 0.0])
    weights = class_weights(frequencies, 0.5)
    raw = np.array([1 / (0.5 * p + 0.5 / 4) for p in (0.7, 0.2, 0.1, 0.0)])
    np.testing.assert_allclose(weights.numpy(), raw / (raw @ frequencies.numpy()), rtol=1e-6)
    assert (frequencies * weights).sum().item() == pytest.approx(1)
    assert (weights.diff() > 0).all()
    torch.testing.assert_close(class_weights(frequencies, 1.0), torch.ones(4))


def test_frequencies_are_smoothed_by_a_gaussian():
    bins = torch.tensor([[0.0, 0.0], [10.0, 0.0], [30.0, 0.0]])
    found = smoothed(torch.tensor([1.0, 0.0, 0.0]), bins, 5.0)
    near, far = np.exp(-(10**2) / 50), np.exp(-(30**2) / 50)
    np.testing.assert_allclose(found.numpy(), np.array([1, near, far]) / (1 + near + far), rtol=1e-5)


def test_annealed_mean_goes_from_the_mean_to_the_mode():  # Eq. 5
    bins = torch.tensor([[-50.0, 0.0], [70.0, 10.0], [0.0, 0.0]])
    chances = torch.tensor([0.5, 0.3, 0.2])
    logits = chances.log()[None, :, None, None]
    for temperature in (1.0, 0.38):
        powers = chances.numpy() ** (1 / temperature)
        expected = (powers / powers.sum()) @ bins.numpy()
        np.testing.assert_allclose(annealed_mean(logits, bins, temperature).flatten(), expected, rtol=1e-5)
    torch.testing.assert_close(annealed_mean(logits, bins, 0.01).flatten(), bins[0])


@torch.no_grad()
def test_loss_of_bins_by_numpy():  # Eqs. 2 and 3
    model = tiny()
    model.set_frequencies(torch.arange(len(model.bins)))
    lab = rgb_to_lab(random(2, 3, 8, 8))
    output = model(lab[:, :1] / 50 - 1, lab[:, 1:] / 110)
    assert output.logits.shape == (2, len(model.bins), 4, 4)
    bins, frequencies = model.bins.double().numpy(), model.frequencies.double().numpy()
    weights = 1 / (0.5 * frequencies + 0.5 / len(bins))
    weights /= (frequencies * weights).sum()
    losses = []
    for picture in range(2):
        for y in range(4):
            for x in range(4):
                logits = output.logits[picture, :, y, x].double().numpy()
                log_chances = logits - np.log(np.exp(logits).sum())
                distances = np.square(bins - lab[picture, 1:, 2 * y, 2 * x].double().numpy()).sum(1)
                nearest = np.argsort(distances)[:5]
                shares = np.exp(-distances[nearest] / (2 * 20**2))
                losses.append(-weights[nearest[0]] * (shares / shares.sum()) @ log_chances[nearest])
    assert output.loss.item() == pytest.approx(np.mean(losses), rel=1e-4)


@torch.no_grad()
def test_loss_of_the_mean_by_numpy():  # Eq. 1
    model, lab = tiny(target="mean"), rgb_to_lab(random(2, 3, 8, 8))
    colors = random(2, 2, 4, 4)
    truth = lab[:, 1:, ::2, ::2] / 110
    expected = 0.5 * np.square(colors.numpy() - truth.numpy()).sum(1).mean()
    assert model.loss_of_mean(colors, truth).item() == pytest.approx(float(expected), rel=1e-5)


def test_of_two_colors_regression_paints_the_middle_and_bins_the_likelier():
    """Birds of two colors that lightness does not tell apart: Eq. 1 averages, Eq. 2 with a low temperature chooses."""
    orange, blue = torch.tensor([40.0, 40.0]) / 110, torch.tensor([0.0, -40.0]) / 110
    labels = torch.stack([orange, orange, orange, blue])[:, :, None, None].expand(-1, -1, 8, 8)
    inputs = {"pixel_values": torch.zeros(4, 1, 8, 8), "labels": labels}
    painted = {}
    for target in ("mean", "bins"):
        model = tiny(target=target, temperature=0.05, rebalancing=1).train()
        with seeded(1):
            descend(model, inputs, lambda output: output.loss, 250, 1e-2)
        with torch.no_grad():
            painted[target] = model(**inputs).reconstruction[0, :, 4, 4]
    torch.testing.assert_close(painted["mean"], 0.75 * orange + 0.25 * blue, rtol=0, atol=0.03)
    torch.testing.assert_close(painted["bins"], orange, rtol=0, atol=0.05)


def test_colors_lie_where_labels_are_taken():
    colors = torch.randn(2, 2, 3, 5)
    large = upsampled(colors, 4)  # 2 2 12 20
    torch.testing.assert_close(large[..., ::4, ::4], colors)  # no halo beside what has a color
    torch.testing.assert_close(large[..., 4, 2], colors[..., 1, :2].mean(-1))


def test_doubt_is_the_entropy():
    logits = torch.zeros(1, 8, 2, 2)
    logits[..., 0, 0] = torch.tensor([100.0, *[0.0] * 7])
    found = tiny().doubt(logits)
    torch.testing.assert_close(found, torch.tensor([[[0.0, np.log(8)], [np.log(8), np.log(8)]]]).float())


# Counting, sizes, the processor


def test_training_counts_colors_first():
    model = hfmm.create_model("colorizer")
    red = Image.new("RGB", (64, 64), (255, 0, 0))
    Coloring({"model": model}).prepare([{"image": red}] * 3, hfmm.create_processor("colorizer"))
    assert model.bins[model.frequencies.argmax()].tolist() == [80, 60]  # (80.09, 67.20) in a grid of 20
    assert model.frequencies.sum().item() == pytest.approx(1)


def test_parameter_count_of_the_paper():
    """Figure 2 layer by layer; the paper's own last layer has 313 outputs."""

    def convolution(before, after, size=3):
        return before * after * size**2 + after

    blocks = [(1, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3), (512, 512, 3), (512, 512, 3)]
    expected = sum(
        convolution(before, after) + (layers - 1) * convolution(after, after) + 2 * after
        for before, after, layers in blocks
    )
    expected += convolution(512, 256, 4) + 2 * convolution(256, 256) + convolution(256, 261, 1)
    with torch.device("meta"):
        model = hfmm.create_model("colorizer", "paper")
    assert model.num_parameters() == expected


def test_the_papers_colors_are_a_quarter_as_large():
    with torch.device("meta"):
        model = hfmm.create_model("colorizer", "paper")
        output = model(torch.zeros(1, 1, 64, 96))
    assert output.logits.shape == (1, 261, 16, 24)
    assert output.reconstruction.shape == (1, 2, 64, 96)


def test_only_lightness_goes_in_and_true_colors_give_the_picture_back():
    processor = hfmm.create_processor("colorizer")
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    batch = processor([picture], with_labels=True, return_tensors="pt")
    assert batch["pixel_values"].shape == (1, 1, 64, 64)
    assert batch["labels"].shape == (1, 2, 64, 64)
    (gray,), (truth,) = processor.worsened([picture]), processor.truths([picture])
    seen = processor([gray], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(seen, batch["pixel_values"], rtol=0, atol=0.01)  # 8 bits
    (back,) = processor.post_process_image_to_image({"reconstruction": batch["labels"]}, [gray])
    assert np.abs(np.asarray(back, int) - np.asarray(truth, int)).mean() < 1
    wide = Image.linear_gradient("L").resize((50, 30))
    (colored,) = processor.post_process_image_to_image({"reconstruction": batch["labels"]}, [wide])
    assert colored.size == (50, 30)


def test_what_is_unsure_is_shown(tmp_path):
    for preset in ("tiny", "regression"):
        hfmm.create_model("colorizer", preset).save_pretrained(tmp_path)
        hfmm.create_processor("colorizer", preset).save_pretrained(tmp_path)
        explanation = hfmm.explain(tmp_path, hfmm.load_data("scenes", split="test")[0]["image"])
        assert ("doubt" in explanation.data) == (preset == "tiny")
        assert {"distance", "gray"} <= explanation.data.keys()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strides": [2, 2, 2]}, "entries: one a block"),
        ({"strides": [1, 1, 1, 1]}, "multiply to an odd number"),
        ({"rebalancing": 1.5}, "rebalancing is 1.5, which is no share"),
        ({"temperature": 0}, "must be positive"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        hfmm.create_model("colorizer", **fields)


def test_pictures_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="10 x 8, which must be multiples of 4"):
        tiny()(torch.zeros(1, 1, 10, 8))
