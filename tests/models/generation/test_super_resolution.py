"""SRCNN and ESPCN: what the papers say, equation by equation; the shared contract comes from ModelTests."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle

import hfmm
from hfmm import metrics
from hfmm.errors import UsageError
from hfmm.factory import WHOLE, picture_size
from hfmm.models.generation.super_resolution.configuration_super_resolution import SuperResolutionConfig
from hfmm.models.generation.super_resolution.image_processing_super_resolution import to_rgb, to_ycbcr
from hfmm.models.generation.super_resolution.modeling_super_resolution import (
    SuperResolutionForImageToImage,
    enlarged,
    pixel_loss,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"scale": 2, "hidden_sizes": [8, 4], "kernel_sizes": [5, 1, 3], "initializer_range": 0.2}
ESPCN = {**TINY, "network": "espcn", "kernel_sizes": [3, 3, 3]}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(**fields):
    with seeded():
        return SuperResolutionForImageToImage(SuperResolutionConfig(**{**TINY, **fields})).eval()


class TestSrcnn(ModelTests, Bundles):
    architecture = "super_resolution"
    model_class = SuperResolutionForImageToImage
    overfit_ratio = 0.5

    def config(self):
        return SuperResolutionConfig(**TINY)

    def inputs(self):
        small = random(3, 1, 7, 9)
        return {"pixel_values": small, "labels": enlarged(small, 2).square()}


class TestEspcn(TestSrcnn):
    def config(self):
        return SuperResolutionConfig(**ESPCN)


# The nets


@torch.no_grad()
def test_srcnn_is_three_convolutions_of_the_bicubic_enlargement():  # Eqs. 1 to 3, patch by patch
    model, small = tiny(), random(1, 1, 6, 6).double()
    model.double()
    large = np.pad(enlarged(small, 2)[0, 0].numpy(), 3, mode="edge")

    def layer(maps, convolution):
        weight, bias = convolution.weight.numpy(), convolution.bias.numpy()
        size = weight.shape[-1]
        rows, columns = (range(side - size + 1) for side in maps.shape[1:])
        patches = [[maps[:, y : y + size, x : x + size] for x in columns] for y in rows]
        return np.einsum("yxchw,nchw->nyx", np.array(patches), weight) + bias[:, None, None]

    first, second, third = model.layers
    expected = layer(np.maximum(0, layer(np.maximum(0, layer(large[None], first)), second)), third)
    # enlarged() computes in single precision
    np.testing.assert_allclose(model(small).reconstruction[0].numpy(), expected, atol=1e-6)


@torch.no_grad()
def test_espcn_computes_at_the_small_size_with_tanh_and_shuffles():  # Eqs. 1 to 4
    model, small = tiny(**ESPCN), random(2, 1, 6, 5)
    first, second, third = model.layers
    hidden = conv2d(pad(small, [3] * 4, mode="replicate"), first.weight, first.bias).tanh()
    hidden = conv2d(hidden, second.weight, second.bias).tanh()
    channels = conv2d(hidden, third.weight, third.bias)
    assert channels.shape == (2, 4, 6, 5)
    torch.testing.assert_close(model(small).reconstruction, pixel_shuffle(channels, 2))


def test_the_shuffle_is_the_papers():  # ESPCN Eq. 4, one channel
    r, channels = 3, random(1, 9, 4, 5)
    large = pixel_shuffle(channels, r)
    for y in range(12):
        for x in range(15):
            assert large[0, 0, y, x] == channels[0, r * (y % r) + x % r, y // r, x // r]


def test_the_shuffle_is_a_transposed_convolution_of_stride_r():
    r, channels = 3, random(1, 9, 4, 5)
    weight = torch.eye(9).view(9, 1, 3, 3)  # each channel goes to a place of its own
    torch.testing.assert_close(pixel_shuffle(channels, r), conv_transpose2d(channels, weight, stride=r))


def test_bicubic_interpolation_is_that_of_pillow():
    """And so of the reductions in training, and of the baseline."""
    values = random(9, 7).numpy()
    expected = np.asarray(Image.fromarray(values).resize((21, 27), Image.Resampling.BICUBIC))
    found = enlarged(torch.from_numpy(values)[None, None], 3)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("fields", [TINY, ESPCN])
def test_the_loss_sees_nothing_past_the_border(fields):
    """It is that of the papers' unpadded convolutions of the crop itself."""
    model = tiny(**fields)
    margin = model.config.margin
    assert margin == {"srcnn": 3, "espcn": 6}[model.config.network]
    small = random(1, 1, 8, 8).requires_grad_()
    hidden = enlarged(small, 2) if model.config.network == "srcnn" else small
    act = torch.relu if model.config.network == "srcnn" else torch.tanh
    for number, layer in enumerate(model.layers):
        hidden = conv2d(act(hidden) if number else hidden, layer.weight, layer.bias)
    valid = hidden if model.config.network == "srcnn" else pixel_shuffle(hidden, 2)
    labels = random(1, 1, 16, 16, seed=1)
    inner = slice(margin, 16 - margin)
    expected = (valid - labels[..., inner, inner]).square().mean()
    torch.testing.assert_close(model(small, labels).loss, expected)


def test_loss_is_the_mean_squared_error_inside():  # SRCNN Eq. 4, ESPCN Eq. 5
    said, truth = torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 6, 6)
    truth[0, 0, 0], truth[0, 0, 2, 3] = 9, 2  # the first row lies in the margin
    assert pixel_loss(said, truth, 2).item() == pytest.approx(4 / 4)


@pytest.mark.parametrize(
    ("preset", "overrides", "count"),
    [
        ("paper", {}, 8_129),
        ("srcnn_9_5_5", {}, 57_281),
        ("espcn", {"scale": 2}, 21_284),
        ("espcn", {}, 22_729),
        ("espcn", {"scale": 4}, 24_752),
    ],
)
def test_parameter_counts(preset, overrides, count):
    with torch.device("meta"):
        model = hfmm.create_model("super_resolution", preset, **overrides)
    assert model.num_parameters() == count
    if preset.startswith(("paper", "srcnn")):  # the papers count weights alone
        assert model.num_parameters() - sum(layer.bias.numel() for layer in model.layers) == count - 97


def test_it_beats_bicubic_on_what_it_has_learned():
    """A tiny net on two crops: its luminance comes closer to the truth than the interpolation's."""
    processor = hfmm.create_processor("super_resolution")
    data = hfmm.load_data("scenes", split="train")
    batch = processor([data[row]["image"] for row in range(2)], with_labels=True, seeds=range(2), return_tensors="pt")
    with seeded():
        model = hfmm.create_model("super_resolution")
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, history_size=20, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = 1000 * model(**batch).loss  # which the optimizer would take for none otherwise
        value.backward()
        return value

    optimizer.step(loss)
    bicubic = pixel_loss(enlarged(batch["pixel_values"], 2), batch["labels"], model.config.margin)
    with torch.no_grad():
        assert model(**batch).loss < 0.7 * bicubic


# Colors


def test_luminance_is_that_of_bt601():
    white, black, red = (torch.tensor(color)[:, None, None] for color in ([1.0] * 3, [0.0] * 3, [1.0, 0, 0]))
    assert (255 * to_ycbcr(white)).flatten().tolist() == pytest.approx([235, 128, 128], abs=1e-4)
    assert (255 * to_ycbcr(black)).flatten().tolist() == pytest.approx([16, 128, 128], abs=1e-4)
    assert (255 * to_ycbcr(red)).flatten().tolist() == pytest.approx([16 + 65.481, 128 - 37.797, 240], abs=1e-4)
    values = random(2, 3, 5, 4)
    torch.testing.assert_close(to_rgb(to_ycbcr(values)), values, rtol=0, atol=1e-5)


def test_the_metric_and_the_model_mean_the_same_luminance():
    from hfmm.metrics.reconstruction import luminance

    levels = (255 * random(3, 6, 6)).round()
    expected = 255 * to_ycbcr(levels / 255)[0]
    np.testing.assert_allclose(luminance(levels.permute(1, 2, 0).double().numpy()), expected.numpy(), rtol=1e-5)


def test_a_perfect_answer_gives_the_picture_back_but_for_its_chroma():
    processor = hfmm.create_processor("super_resolution")
    picture = hfmm.load_data("scenes", split="test")[3]["image"]
    (truth,), (given,) = processor.truths([picture]), processor.worsened([picture])
    luminance = torch.stack([to_ycbcr(torch.from_numpy(np.array(truth)).permute(2, 0, 1) / 255)[:1]])
    (answer,) = processor.post_process_image_to_image({"reconstruction": luminance}, [given])
    scores = metrics.load("reconstruction").compute(
        predictions=[answer], references=[truth], channel="luminance", border=2
    )
    assert scores["psnr"] > 40  # 8 bits, and colors that do not exist are cut off


# The processor


def test_crops_are_drawn_by_seed_and_reduced():
    processor = hfmm.create_processor("super_resolution", "espcn")
    picture = hfmm.load_data("scenes", split="test")[0]["image"]
    batch = processor([picture] * 3, with_labels=True, seeds=[1, 1, 2], return_tensors="pt")
    assert batch["pixel_values"].shape == (3, 1, 17, 17)
    assert batch["labels"].shape == (3, 1, 51, 51)
    assert torch.equal(batch["labels"][0], batch["labels"][1])
    assert not torch.equal(batch["labels"][0], batch["labels"][2])
    assert 16 / 255 <= batch["labels"].min() <= batch["labels"].max() <= 235 / 255
    with pytest.raises(ValueError, match="40 x 40 pixels is smaller than crops of 51 x 51"):
        processor([picture.resize((40, 40))], with_labels=True)


def test_pictures_are_taken_whole():
    """A JPEG that is decoded small would be reduced already."""
    processor = hfmm.create_processor("super_resolution")
    assert picture_size(processor) == (WHOLE, WHOLE)
    assert processor([Image.new("RGB", (30, 21))], return_tensors="pt")["pixel_values"].shape == (1, 1, 21, 30)
    assert [truth.size for truth in processor.truths([Image.new("RGB", (31, 21))])] == [(30, 20)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_sizes": [9, 5]}, "2 kernel_sizes for 2 hidden layers"),
        ({"kernel_sizes": [9, 4, 5]}, "must be odd"),
        ({"scale": 0}, "must be positive"),
        ({"network": "edsr"}, "network"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        hfmm.create_model("super_resolution", **fields)


def test_labels_that_are_all_margin_are_refused():
    with pytest.raises(ValueError, match="6 x 6 pixels are all within 3 of a border"):
        tiny()(random(1, 1, 3, 3), random(1, 1, 6, 6))
