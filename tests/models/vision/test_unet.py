"""U-Net: what the paper says, figure by figure and equation by equation; the shared contract comes from ModelTests."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

from hfmm import factory
from hfmm.models.vision.unet import modeling_unet
from hfmm.models.vision.unet.configuration_unet import UnetConfig
from hfmm.models.vision.unet.modeling_unet import UnetConvolutions, UnetForSemanticSegmentation
from hfmm.models.vision.unet.weighting_unet import border_weights, class_weights, distance, weight_map
from hfmm.nn.segmentation import center_crop
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

VALID = {"hidden_size": 4, "depth": 2, "dropout": 0.0, "num_labels": 3}  # a margin of 20 pixels
SAME = {**VALID, "padding": "same", "batch_normalization": True, "num_channels": 3}


def small(**fields):
    with seeded():
        return UnetForSemanticSegmentation(UnetConfig(**{**VALID, **fields})).eval()


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


class TestUnet(ModelTests, Bundles):
    architecture = "unet"
    model_class = UnetForSemanticSegmentation

    def config(self):
        return UnetConfig(**VALID)

    def inputs(self):
        labels = torch.arange(8)[:, None].expand(8, 8) // 3
        labels = torch.stack([labels, labels.T, labels.flip(0)])
        labels[:, 0, 0] = 255
        return {"pixel_values": noise(3, 1, 48, 48), "labels": labels}


class TestUnetWithSamePadding(TestUnet):
    def config(self):
        return UnetConfig(**SAME)

    def inputs(self):
        labels = super().inputs()["labels"].repeat_interleave(2, 1).repeat_interleave(2, 2)
        return {"pixel_values": noise(3, 3, 16, 16), "labels": labels}


# Figure 1


def sizes_of(model, side):
    """Channels and side that every layer of the paper's figure leaves behind, in order."""
    seen = []

    def see(module, given, found):
        seen.append((found.shape[1], found.shape[-1]))

    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.register_forward_hook(see)
    model(torch.empty(1, 1, side, side, device="meta"))
    return seen


def test_the_sizes_of_figure_1():
    with torch.device("meta"):
        model = factory.create_model("unet", preset="paper")
    contracting = [
        *((64, 570), (64, 568)),
        *((128, 282), (128, 280)),
        *((256, 138), (256, 136)),
        *((512, 66), (512, 64)),
        *((1024, 30), (1024, 28)),
    ]
    expansive = [
        *((512, 56), (512, 54), (512, 52)),
        *((256, 104), (256, 102), (256, 100)),
        *((128, 200), (128, 198), (128, 196)),
        *((64, 392), (64, 390), (64, 388)),
    ]
    assert sizes_of(model, 572) == [*contracting, *expansive, (2, 388)]


def test_the_paper_has_23_convolutions_and_its_parameters():
    with torch.device("meta"):
        model = factory.create_model("unet", preset="paper")
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 23
    assert sum(value.numel() for value in model.parameters()) == 31_030_658
    assert model.config.margin == 92


def test_same_padding_keeps_the_size():
    model = small(**SAME)
    for size in ((16, 16), (8, 20)):
        assert model(noise(2, 3, *size)).logits.shape == (2, 3, *size)


def test_the_skip_is_cropped_at_its_center():
    feature_map = torch.arange(64.0).view(1, 1, 8, 8)
    assert center_crop(feature_map, 4, 2).tolist() == [[[[19, 20], [27, 28], [35, 36], [43, 44]]]]
    model, seen = small(), []
    model.expansive[-1].register_forward_hook(lambda module, given, found: seen.append(given[0]))
    pixels = noise(1, 1, 60, 60)
    model(pixels)
    skip = model.contracting[0](pixels)  # 56 pixels
    assert seen[0].shape[-1] == 24
    torch.testing.assert_close(seen[0][:, :4], skip[..., 16:40, 16:40])


def test_without_its_skips_the_output_is_another(monkeypatch):
    model, pixels = small(), noise(1, 1, 60, 60)
    whole = model(pixels).logits
    monkeypatch.setattr(modeling_unet, "center_crop", lambda skip, *size: torch.zeros_like(center_crop(skip, *size)))
    assert not torch.allclose(model(pixels).logits, whole, atol=1e-3)


def test_an_output_pixel_sees_its_margin_and_no_more():
    model = small()
    pixels = noise(1, 1, 60, 60).requires_grad_()
    (gradient,) = torch.autograd.grad(model(pixels).logits[0, :, 0, 0].sum(), pixels)
    rows = gradient[0, 0].abs().sum(1).nonzero()[:, 0]
    assert rows.min() >= 0
    assert rows.max() <= 2 * model.config.margin + 2**model.config.depth - 1


@pytest.mark.parametrize(("padding", "side", "next_side"), [("valid", 61, 64), ("same", 17, 20), ("valid", 8, 44)])
def test_sides_that_do_not_fit_the_pools_are_refused(padding, side, next_side):
    with pytest.raises(ValueError, match=f"in place of {side}, {next_side}$"):
        small(padding=padding)(noise(1, 1, side, side))
    assert small(padding=padding)(noise(1, 1, next_side, next_side)).logits.shape[-1] > 0


def test_valid_sides_are_those_of_the_paper():
    config = UnetConfig()
    assert [side for side in range(600) if config.fits(side)] == [16 * k + 12 for k in range(11, 37)]


def test_weights_start_from_he_s_normal_distribution():
    """N(0, sqrt(2 / N)) with N the nodes that come in; a tap of an up-convolution sees one pixel."""
    with seeded():
        block = UnetForSemanticSegmentation(UnetConfig(hidden_size=32, depth=1, num_channels=2))
    for layer, incoming in (
        (block.bottom.convolutions[1], 64 * 9),
        (block.upconvolutions[0], 64),
        (block.expansive[0].convolutions[0], 64 * 9),
    ):
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / incoming), rel=0.05)
        assert not layer.bias.any()


def test_dropout_is_at_the_end_of_the_contracting_path():
    with seeded():
        model = UnetForSemanticSegmentation(UnetConfig(**{**VALID, "dropout": 0.5})).train()
        pixels, seen = noise(1, 1, 60, 60), []
        model.upconvolutions[0].register_forward_hook(lambda module, given, found: seen.append(given[0]))
        model(pixels)
        model.eval()(pixels)
    dropped, whole = seen
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])
    assert 0.3 < (~kept & (whole != 0)).sum() / (whole != 0).sum() < 0.7


def test_batch_normalization_follows_each_convolution():
    block = UnetConvolutions(3, 4, UnetConfig(**SAME)).train()
    block(5 + 3 * noise(4, 3, 8, 8))
    assert all(layer.bias is None for layer in block.convolutions)
    assert all(layer.running_mean.any() for layer in block.normalizations)


# The energy of section 3


def test_the_loss_is_the_mean_over_known_pixels():
    model, pixels = small(), noise(2, 1, 48, 48)
    labels = torch.randint(3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    labels[0, :3] = 255
    out = model(pixels, labels=labels)
    torch.testing.assert_close(out.loss, cross_entropy(out.logits, labels, ignore_index=255))
    unknown = model(pixels, labels=torch.full_like(labels, 255)).loss
    assert unknown == 0
    unknown.backward()


def test_the_energy_weighs_pixels():
    model, pixels = small(), noise(2, 1, 48, 48)
    labels = torch.randint(3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    weights = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    out = model(pixels, labels=labels, pixel_weights=weights)
    log_p = log_softmax(out.logits, 1)
    energy = -sum(
        weights[b, y, x] * log_p[b, labels[b, y, x], y, x] for b in range(2) for y in range(8) for x in range(8)
    )
    torch.testing.assert_close(out.loss, energy / 128)


def test_labels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="labels are 48 x 48 pixels but the model segments 8 x 8"):
        small()(noise(1, 1, 48, 48), labels=torch.zeros(1, 48, 48, dtype=torch.long))


def test_where_two_cells_touch_the_weight_is_the_balance_and_ten():  # Eq. 2
    nothing = torch.zeros(1)
    assert border_weights(nothing, nothing).item() == 10
    cells = torch.zeros(2, 4, 4, dtype=torch.bool)
    cells[0, :, :2] = cells[1, :, 1:3] = True  # both have the second column
    found = weight_map(torch.full((4, 4), 0.7), cells)
    torch.testing.assert_close(found[:, 1], torch.full((4,), 10.7))


def test_the_weight_map_is_equation_2_written_again():
    generator = torch.Generator().manual_seed(0)
    cells = torch.zeros(3, 12, 15, dtype=torch.bool)
    cells[0, 1:4, 2:5] = cells[1, 6:11, 1:3] = cells[2, 3:9, 9:14] = True
    balance = torch.rand(12, 15, generator=generator)
    found = weight_map(balance, cells, w0=3, sigma=2)
    for y in range(12):
        for x in range(15):
            away = sorted(min(math.dist((y, x), place) for place in cell.nonzero().tolist()) for cell in cells)
            expected = balance[y, x] + 3 * math.exp(-((away[0] + away[1]) ** 2) / (2 * 2**2))
            assert found[y, x].item() == pytest.approx(expected.item(), rel=1e-5)


def test_one_cell_has_no_gap():
    cells = torch.ones(1, 3, 3, dtype=torch.bool)
    assert torch.equal(weight_map(torch.ones(3, 3), cells), torch.ones(3, 3))
    assert distance(torch.zeros(2, 3, dtype=torch.bool)).isinf().all()


def test_classes_balance():
    weights = class_weights(torch.tensor([[0, 0, 0], [1, 3, 255]]), 4)
    torch.testing.assert_close(weights, torch.tensor([5 / 9, 5 / 3, 0, 5 / 3]))
    torch.testing.assert_close((weights * torch.tensor([3, 1, 0, 1])).sum(), torch.tensor(5.0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"padding": "mirror"}, "padding is 'mirror': give one of valid, same"),
        ({"depth": 0}, "must be positive"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        UnetConfig(**fields)
