"""The small backbone of the tiny presets."""

import pytest
import torch
from torch.nn.functional import group_norm, relu

from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from hfmm.models.vision.small_cnn.modeling_small_cnn import SmallCnnBackbone, SmallCnnForImageClassification
from tests.testing import ExtractsFeatures, ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"hidden_sizes": [8, 16], "position_size": 4}


def pictures(count=3, size=16):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


class TestSmallCnn(ExtractsFeatures, ModelTests, Bundles):
    architecture = "small_cnn"
    model_class = SmallCnnBackbone

    def config(self):
        return SmallCnnConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}


class TestSmallCnnWithBatchNormalization(TestSmallCnn):
    def config(self):
        return SmallCnnConfig(**TINY, normalization="batch")


class TestSmallCnnForImageClassification(ModelTests, Bundles):
    architecture = "small_cnn"
    model_class = SmallCnnForImageClassification

    def config(self):
        return SmallCnnConfig(**TINY, num_labels=5)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 4, 2])}


@torch.no_grad()
def test_the_classifier_reads_the_mean_cell():
    with seeded():
        model = SmallCnnForImageClassification(SmallCnnConfig(**TINY, num_labels=5)).eval()
    output = model(pictures(), labels=torch.tensor([0, 4, 2]))
    cell = model.backbone(pictures()).feature_maps[-1].mean((2, 3))
    torch.testing.assert_close(output.logits, model.classifier(cell))
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, torch.tensor([0, 4, 2])))


def test_stages_halve_the_picture():
    model = SmallCnnBackbone(SmallCnnConfig(out_features=["stem", "stage1", "stage2"]))
    maps = model(pictures(1, 64)).feature_maps
    assert [tuple(feature_map.shape[1:]) for feature_map in maps] == [(24, 32, 32), (48, 16, 16), (96, 8, 8)]
    assert SmallCnnConfig().out_features == ["stage2"]


def test_cells_of_the_last_map_are_centered_on_their_pixels():
    """A cell's gradient, with equal weights everywhere, has its center where an overlay draws the cell."""
    model = SmallCnnBackbone(SmallCnnConfig(hidden_sizes=[8, 8, 8], num_residual_blocks=0)).eval()
    for stage in model.stages:
        torch.nn.init.ones_(stage.convolution.weight)
        stage.normalization = torch.nn.Identity()
    pixels = torch.ones(1, 3, 64, 64, requires_grad=True)
    model(pixels).feature_maps[0][0, 0, 4, 4].backward()
    weight = pixels.grad.sum((0, 1, 2))
    center = (weight * torch.arange(64)).sum() / weight.sum()
    assert abs(center - (4 * 8 + 3.5)) <= 0.5


def test_the_residual_block_adds_what_its_convolutions_find():
    with seeded():
        block = SmallCnnBackbone(SmallCnnConfig(**TINY)).residual_blocks[0]
    x = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(1))
    inner = relu(group_norm(block.convolution1(x), 8))
    torch.testing.assert_close(block(x), relu(x + group_norm(block.convolution2(inner), 8)))


def test_positions_tell_equal_places_apart():
    flat = torch.zeros(1, 3, 16, 16)
    with seeded():
        blind = SmallCnnBackbone(SmallCnnConfig(hidden_sizes=[8, 16])).eval()
        placed = SmallCnnBackbone(SmallCnnConfig(**TINY)).eval()
    assert not blind(flat).feature_maps[0].any()
    torch.testing.assert_close(placed(flat).feature_maps[0], placed.positions)


def test_a_group_normalized_batch_of_two_equals_two_singles_in_training():
    with seeded():
        model = SmallCnnBackbone(SmallCnnConfig(**TINY)).train()
    x = pictures(2)
    together = model(x).feature_maps[0]
    alone = torch.cat([model(row[None]).feature_maps[0] for row in x])
    torch.testing.assert_close(together, alone)


def test_channels_last_pictures_give_channels_last_maps():
    model = SmallCnnBackbone(SmallCnnConfig(**TINY)).eval()
    x = pictures()
    found = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)).feature_maps[0]
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, model.to(memory_format=torch.contiguous_format)(x).feature_maps[0])


def test_pictures_of_another_size_than_the_positions_are_refused():
    with pytest.raises(ValueError, match="the last map is 8 x 8 but position_size is 4: pictures must be 16 pixels"):
        SmallCnnBackbone(SmallCnnConfig(**TINY))(pictures(1, 32))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_sizes": []}, "hidden_sizes is empty"),
        ({"hidden_sizes": [12]}, "must be multiples of 8"),
        ({"normalization": "layer"}, "normalization"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        SmallCnnConfig(**fields)
