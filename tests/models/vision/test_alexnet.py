"""AlexNet: the published layers, counts, neurons and normalization."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, linear, max_pool2d

from hfmm import factory
from hfmm.models.vision.alexnet.configuration_alexnet import AlexnetConfig, output_size
from hfmm.models.vision.alexnet.modeling_alexnet import (
    AlexnetForImageClassification,
    AlexnetModel,
    local_response_normalization,
    overlapping_max_pool,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

TINY = {"image_size": 32, "stem_kernel_size": 5, "stem_stride": 2, "stem_padding": 2, "hidden_sizes": [8, 8, 12, 8, 8]}
TINY |= {"classifier_hidden_size": 16, "dropout": 0.0, "initializer_range": 0.1}
GROUPED = ("convolution2", "convolution4", "convolution5")


def pictures(count=3, size=32):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def tiny(kind=AlexnetForImageClassification, **fields):
    with seeded():
        return kind(AlexnetConfig(**{**TINY, **fields})).eval()


def on_meta(preset):
    with torch.device("meta"):
        return factory.create_model("alexnet", preset)


def count(model):
    return sum(value.numel() for value in model.parameters())


class WithoutGroups:
    """peft merges no adapter into a convolution of several groups: the product of its factors has another shape."""

    def adapted(self):
        import peft

        model = self.model()
        parts = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
        targets = [name for name, part in parts if getattr(part, "groups", 1) == 1]
        assert len(targets) == len(parts) - len(GROUPED)
        with seeded(1):
            return peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=targets))


class TestAlexnetForImageClassification(WithoutGroups, ModelTests, Bundles):
    architecture = "alexnet"
    model_class = AlexnetForImageClassification

    def config(self):
        return AlexnetConfig(**TINY, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestAlexnetModel(WithoutGroups, ModelTests, Bundles):
    architecture = "alexnet"
    model_class = AlexnetModel

    def config(self):
        return AlexnetConfig(**TINY)

    def inputs(self):
        return {"pixel_values": pictures()}

    def loss(self, output):
        return (output.pooler_output**2).mean()


@pytest.mark.parametrize(
    ("preset", "expected"), [("paper", 60_965_224), ("one_gpu", 62_378_344), ("one_weird_trick", 61_100_840)]
)
def test_parameter_counts_are_the_published_ones(preset, expected):
    assert count(on_meta(preset)) == expected


def test_each_layer_of_two_gpus_has_its_parameters():
    model = on_meta("paper")
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    expected = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
    assert [count(layer) for layer in layers] == expected


@torch.no_grad()
def test_neurons_of_each_layer_are_those_of_figure_2_but_of_conv1():
    """The caption of figure 2: 150,528 of the input, then 253,440, 186,624, 64,896, 64,896, 43,264, 4096, 4096, 1000.

    conv1 has 55 x 55 x 96 = 290,400 neurons, which the paper gives itself as 55 x 55 x 48 on each GPU. The printed
    253,440 is 55 x 48 x 96; no padding and no size of pictures gives it: 224 pixels give 54 x 54 x 96 = 279,936.
    """
    model = on_meta("paper")
    inputs = torch.empty(1, 3, 227, 227, device="meta")
    *maps, codes = *model(inputs, output_hidden_states=True).hidden_states, model.model(inputs).pooler_output
    conv1, *others = [feature_map[0].numel() for feature_map in maps]
    assert others == [186_624, 64_896, 64_896, 43_264]
    assert codes.shape == (1, 4096)
    assert (model.model.fc6.out_features, model.fc8.out_features) == (4096, 1000)
    assert 224 * 224 * 3 == 150_528
    assert conv1 == 55 * 55 * 96 == 290_400
    assert 55 * 48 * 96 == 253_440
    assert output_size(224, 11, 4) ** 2 * 96 == 279_936


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((227, 11, 4, 0), 55), ((224, 11, 4, 2), 55), ((224, 11, 4, 0), 54), ((55, 3, 2, 0), 27), ((27, 5, 1, 2), 27)],
)
@torch.no_grad()
def test_sides_are_n_minus_f_over_s_plus_one(sizes, expected):
    size, kernel, stride, padding = sizes
    assert output_size(size, kernel, stride, padding) == expected
    convolved = conv2d(torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel), stride=stride, padding=padding)
    assert convolved.shape[-1] == expected


def test_a_kernel_that_sharpens_gives_the_number_of_the_deck():
    picture = torch.tensor([[76.0, 200, 249], [97, 143, 223], [108, 196, 236]])
    kernel = torch.tensor([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    assert conv2d(picture[None, None], kernel[None, None]).item() == (picture * kernel).sum() == -1


def block_diagonal(weight, groups):
    """The weight of a convolution without groups whose kernels are zero where they would see another group's maps."""
    size, inside = weight.shape[:2]
    full = weight.new_zeros(size, inside * groups, *weight.shape[2:])
    for group in range(groups):
        rows = slice(group * size // groups, (group + 1) * size // groups)
        full[rows, group * inside : (group + 1) * inside] = weight[rows]
    return full


@torch.no_grad()
def test_two_gpus_are_one_whose_weights_are_block_diagonal():
    two, one = tiny(), tiny(num_groups=1)
    weights = two.state_dict()
    for name in GROUPED:
        weights[f"model.{name}.weight"] = block_diagonal(weights[f"model.{name}.weight"], groups=2)
    one.load_state_dict(weights)
    torch.testing.assert_close(one(pictures()).logits, two(pictures()).logits)


@torch.no_grad()
def test_a_layer_of_two_groups_is_two_halves():
    layer = tiny(AlexnetModel).convolution2
    x = torch.randn(2, 8, 7, 7, generator=torch.Generator().manual_seed(1))
    halves = [
        conv2d(part, weight, bias, padding=2)
        for part, weight, bias in zip(x.chunk(2, 1), layer.weight.chunk(2), layer.bias.chunk(2), strict=True)
    ]
    torch.testing.assert_close(layer(x), torch.cat(halves, 1))


def normalized(x):
    """The formula of section 3.3, one map after the other."""
    maps = x.shape[1]
    found = torch.empty_like(x)
    for i in range(maps):
        power = sum(x[:, j] ** 2 for j in range(max(0, i - 2), min(maps - 1, i + 2) + 1))
        found[:, i] = x[:, i] / (2 + 1e-4 * power) ** 0.75
    return found


def test_normalization_is_the_sum_over_five_neighboring_maps():
    x = 50 * torch.randn(2, 9, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(local_response_normalization(x), normalized(x))
    torch.testing.assert_close(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)(x), normalized(x))


def test_normalization_is_computed_in_float32():
    x = (50 * torch.randn(2, 9, 4, 4, generator=torch.Generator().manual_seed(0))).bfloat16()
    found = local_response_normalization(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, normalized(x.float()).bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(local_response_normalization(x), found)


def test_windows_of_the_max_pool_overlap():
    row = torch.tensor([3.0, 1, 5, 2, 4]).expand(1, 1, 5, 5)
    assert overlapping_max_pool(row)[0, 0].tolist() == [[5, 5], [5, 5]]  # the 5 is in both
    x = torch.rand(1, 2, 55, 55)
    assert torch.equal(overlapping_max_pool(x), max_pool2d(x, kernel_size=3, stride=2))


@torch.no_grad()
def test_logits_are_those_of_the_layers_written_out():
    model = tiny(num_labels=4)
    net, x = model.model, pictures()
    for name, stride, pooled in [
        ("convolution1", 2, True), ("convolution2", 1, True), ("convolution3", 1, False), ("convolution4", 1, False),
        ("convolution5", 1, True),
    ]:  # fmt: skip
        layer = getattr(net, name)
        x = conv2d(x, layer.weight, layer.bias, stride, layer.weight.shape[-1] // 2, groups=1 + (name in GROUPED))
        x = x.clamp(min=0)
        if name in ("convolution1", "convolution2"):
            x = normalized(x)
        if pooled:
            x = max_pool2d(x, 3, 2)
    x = x.flatten(1)
    for layer in (net.fc6, net.fc7):
        x = linear(x, layer.weight, layer.bias).clamp(min=0)
    output = model(pictures())
    torch.testing.assert_close(net(pictures()).pooler_output, x)
    torch.testing.assert_close(output.logits, linear(x, model.fc8.weight, model.fc8.bias))


def test_weights_start_as_in_section_5():
    sizes = {"hidden_sizes": [32, 32, 64, 64, 64], "classifier_hidden_size": 128, "initializer_range": 0.01}
    model = tiny(**sizes)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.std().item() == pytest.approx(AlexnetConfig().initializer_range, rel=0.1)
            one = name.removeprefix("model.") in (*GROUPED, "fc6", "fc7")
            assert layer.bias.unique().tolist() == [float(one)]


def test_a_classifier_gives_its_layers_to_a_model_of_codes(tmp_path):
    classifier = tiny()
    classifier.save_pretrained(tmp_path)
    model = AlexnetModel.from_pretrained(tmp_path)
    codes = model(pictures()).pooler_output
    assert codes.min() >= 0
    torch.testing.assert_close(classifier.fc8(codes), classifier(pictures()).logits)


def test_dropout_acts_in_training_only():
    with seeded():
        model, x = tiny(dropout=0.5), pictures(1)
        assert torch.equal(model(x).logits, model(x).logits)
        assert not torch.equal(model.train()(x).logits, model(x).logits)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="pictures are 64 x 64 but the net takes 32 x 32"):
        tiny()(pictures(1, 64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_sizes": [8, 8]}, "hidden_sizes has 2 entries"),
        ({"hidden_sizes": [8, 8, 9, 8, 8]}, "cannot be split in 2 num_groups"),
        ({"image_size": 64}, "image_size is 64: nothing is left"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        AlexnetConfig(**fields)
