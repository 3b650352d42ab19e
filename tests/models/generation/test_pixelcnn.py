"""Conditional PixelCNN: what the papers say, equation by equation; the shared contract comes from ModelTests."""

import math
from itertools import product

import pytest
import torch
from torch.nn.functional import conv2d

import hfmm
from hfmm.models.generation.pixelcnn.configuration_pixelcnn import PixelcnnConfig
from hfmm.models.generation.pixelcnn.modeling_pixelcnn import MaskedConv2d, PixelcnnModel, gate
from tests.models.generation.tiny_pixelcnn import COLOR, CONDITIONS, TINY, build, conditions, random
from tests.testing import ModelTests
from tests.testing_pictures import DrawsPictures


class TestPixelcnn(ModelTests, DrawsPictures):
    architecture = "pixelcnn"
    model_class = PixelcnnModel
    overfit_ratio = 0.3  # of 16 log 2 nats: three pictures leave log 3 of them

    def config(self):
        return PixelcnnConfig(**TINY)

    def inputs(self):
        return {"pixel_values": random(3, 1, 4, 4).round()}


class TestConditionalColorPixelcnn(TestPixelcnn):
    def config(self):
        return PixelcnnConfig(**COLOR, **CONDITIONS)

    def inputs(self):
        return {"pixel_values": (random(3, 3, 4, 4) * 3).round() / 3, **conditions(3)}


# What a pixel sees


def dependence(model, side, channel, row, column):
    """Whether the logits of a value move with each value of the picture. (C, H, W)."""
    for layer in (model.layers[-1].output, model.hidden):  # no rectifier of the head is shut
        layer.bias.data += 3
    picture = random(1, model.config.num_channels, side, side, seed=3).requires_grad_()
    logits = model.logits(picture, model.conditions(None, None, None))[0, :, channel, row, column]
    (logits * random(len(logits), seed=4)).sum().backward()
    return picture.grad[0] != 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("row", "column"), [(5, 4), (4, 0), (8, 8), (0, 3), (0, 0)])
def test_a_pixel_sees_all_before_it_and_nothing_after(channels, row, column):  # figure 1, bottom; reach 2 + 1 + 1
    model = build(**TINY | {"hidden_size": 9, "num_channels": channels, "num_levels": 3})
    rows, columns = torch.arange(9)[:, None], torch.arange(9)[None]
    near = ((row - rows) <= 4) & ((column - columns).abs() <= 4)
    before = near & ((rows < row) | ((rows == row) & (columns < column)))
    for channel in range(channels):
        expected = before.repeat(channels, 1, 1)
        expected[:channel, row, column] = True
        assert torch.equal(dependence(model, 9, channel, row, column), expected)


@pytest.mark.parametrize("first", [3, 5])
def test_masks_of_either_kind_are_causal_alone(first):  # one layer, mask A; two, A and B
    for layers in (1, 2):
        model = build(**COLOR | {"num_layers": layers, "first_kernel_size": first})
        seen = dependence(model, 5, 1, 2, 2).flatten(1)
        assert not seen[:, 13:].any()
        assert seen[:, 12].tolist() == [True, False, False]


def test_masks_by_hand():  # 1601.06759, figure 2: red, green, blue
    maps = [0, 1, 2]
    first = MaskedConv2d(maps, maps, left=1, sees_itself=False).make_mask()
    assert first[:, :, 0, 1].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert first[:, :, 0, 0].all()
    assert MaskedConv2d(maps, maps).make_mask()[:, :, 0, 0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    one_stack = MaskedConv2d([0], [0], left=1, above=1).make_mask()
    assert one_stack[0, 0].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_one_stack_has_a_blind_spot():  # figure 1, top right
    fields = {"hidden_size": 8, "head_size": 8, "num_layers": 4, "first_kernel_size": 3}
    single, both = (dependence(build(**fields, single_stack=alone), 9, 0, 5, 4)[0] for alone in (True, False))
    assert single[4, 5]
    assert not single[4, 6:].any()
    assert not single[3, 7:].any()
    assert both[4, :9].all()
    assert both[3, 7]
    assert not single[5, 4:].any()


# The net and its likelihood


def test_gate_by_hand():  # Eq. 2: tanh(1) / (1 + e^-2)
    assert gate(torch.tensor([[1.0, 2.0]])).item() == pytest.approx(math.tanh(1) / (1 + math.exp(-2)))


def full(weight, size, row):
    """A compact kernel inside one of n x n, whose last row of weights lies in this row."""
    kernel = weight.new_zeros(*weight.shape[:2], size, size)
    kernel[:, :, row + 1 - weight.shape[2] : row + 1, : weight.shape[3]] = weight
    return kernel


@torch.no_grad()
def test_the_net_by_explicit_masks():  # figure 2, with kernels of n x n
    model, picture = build(**COLOR), random(2, 3, 4, 4)
    vertical = horizontal = picture
    for index, layer in enumerate(model.layers):
        size = 5 if index == 0 else 3
        middle, last = size // 2, size // 2 - (index == 0)
        kernel = full(layer.vertical.weight, size, last)
        above = conv2d(vertical, kernel, layer.vertical.bias, padding=middle)
        kernel = full(layer.horizontal.masked_weight(), size, middle)
        seen = conv2d(horizontal, kernel, layer.horizontal.bias, padding=middle) + layer.vertical_to_horizontal(above)
        out = conv2d(seen[:, :9].tanh() * seen[:, 9:].sigmoid(), layer.output.masked_weight(), layer.output.bias)
        vertical = above[:, :9].tanh() * above[:, 9:].sigmoid()
        horizontal = out if index == 0 else horizontal + out
    hidden = conv2d(horizontal.relu(), model.hidden.masked_weight(), model.hidden.bias).relu()
    values = conv2d(hidden, model.output.masked_weight(), model.output.bias)
    found = model.logits(picture, model.conditions(None, None, None))
    torch.testing.assert_close(found, values.view(2, 3, 4, 4, 4).transpose(1, 2))


@torch.no_grad()
@pytest.mark.parametrize("given", [{}, {"labels": torch.tensor([1])}])
def test_probabilities_of_all_binary_pictures_add_up_to_one(given):  # Eq. 1, 64 pictures of 2 x 3
    model = build(**TINY, label_condition=bool(given), num_labels=3).double()
    pictures = torch.tensor(list(product([0.0, 1.0], repeat=6))).view(64, 1, 2, 3).double()
    given = {name: value.expand(64) for name, value in given.items()}
    assert model.log_likelihood(pictures, **given).exp().sum().item() == pytest.approx(1)


@torch.no_grad()
def test_without_a_head_a_value_costs_eight_bits():
    model = build(**COLOR | {"num_levels": 256})
    model.output.weight.zero_()
    model.output.bias.zero_()
    pixel_values = (random(2, 3, 4, 4) * 255).round() / 255
    output = model(pixel_values)
    assert output.logits.shape == (2, 256, 3, 4, 4)
    assert output.loss.item() == pytest.approx(48 * math.log(256))
    assert output.losses["bits_per_dim"].item() == pytest.approx(8)


@torch.no_grad()
def test_likelihood_is_that_of_the_loss_and_levels_are_rounded():
    model, pixel_values = build(**COLOR), random(3, 3, 4, 4)
    found = model.log_likelihood(pixel_values)
    torch.testing.assert_close(-found.mean(), model(pixel_values).loss)
    assert torch.equal(found, model.log_likelihood((pixel_values * 3).round() / 3))
    assert model.levels(torch.tensor([0.0, 0.3, 0.6, 1.0])).tolist() == [0, 1, 2, 3]


# Conditions


@torch.no_grad()
def test_a_condition_of_zeros_is_none_and_others_count():  # Eqs. 3 and 4
    model, pictures = build(**COLOR, **CONDITIONS), random(2, 3, 4, 4)
    plain = model(pictures).logits
    torch.testing.assert_close(model(pictures, condition=torch.zeros(2, 2)).logits, plain)
    one, other = (model(pictures, labels=torch.tensor([label, label])).logits for label in (0, 1))
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, plain)
    both = model(pictures, labels=torch.tensor([0, 0]), condition=torch.ones(2, 2)).logits
    assert not torch.allclose(both, one)


def test_gradients_reach_a_condition():
    model = build(**COLOR, **CONDITIONS)
    given = {"condition": random(2, 2).requires_grad_(), "spatial_condition": random(2, 2, 4, 4).requires_grad_()}
    model(random(2, 3, 4, 4), **given).loss.backward()
    assert all(value.grad.ne(0).all() for value in given.values())


@torch.no_grad()
def test_a_map_conditions_each_pixel():  # Eq. 5
    model, pictures = build(**TINY | {"num_layers": 1}, spatial_condition_channels=1), random(1, 1, 4, 4)
    place = torch.zeros(1, 1, 4, 4)
    place[0, 0, 2, 1] = 1
    moved = (model(pictures, spatial_condition=place).logits != model(pictures).logits).any(1)[0, 0]
    assert moved.nonzero().tolist() == [[2, 1]]


def test_conditions_without_a_place_are_refused():
    for name, value in conditions(1).items():
        with pytest.raises(ValueError, match=f"{name}: the configuration has no place for it"):
            build(**TINY)(random(1, 1, 4, 4), **{name: value})


# Drawing


def parameters(p, n, first, layers, channels, levels, head):
    """Weights and biases of our layout, counted by hand."""
    shared = 2 * p * (2 * p + 1) + p * (p + 1)  # from the vertical stack to the horizontal one, and its output

    def layer(before, size, rows):
        return 2 * p * (before * rows * size + 1) + 2 * p * (before * (size // 2 + 1) + 1) + shared

    inner = (layers - 1) * layer(p, n, n // 2 + 1)
    return layer(channels, first, first // 2) + inner + head * (p + 1) + channels * levels * (head + 1)


@pytest.mark.parametrize(
    ("preset", "sizes", "count"),
    [
        ("paper", (384, 5, 7, 20, 3, 256, 1024), 116_898_304),
        ("mnist", (32, 7, 7, 6, 1, 2, 32), 362_466),
        ("cifar10", (126, 3, 7, 12, 3, 256, 126), 3_889_758),
    ],
)
def test_parameter_counts(preset, sizes, count):
    with torch.device("meta"):
        model = hfmm.create_model("pixelcnn", preset=preset)
    assert model.num_parameters() == parameters(*sizes) == count


def test_default_sizes_give_a_quarter_of_a_million():
    with torch.device("meta"):
        assert PixelcnnModel(PixelcnnConfig()).num_parameters() == parameters(32, 3, 7, 12, 1, 2, 32) == 247_074


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel_size": 4}, "both must be odd"),
        ({"first_kernel_size": 1}, "and the first 3 or more"),
        ({"num_channels": 3, "hidden_size": 2}, "each needs a map for each of 3 channels"),
        ({"num_levels": 1}, "a pixel needs two"),
        ({"num_layers": 0}, "must be positive"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        PixelcnnConfig(**fields)


def test_impossible_drawings_are_refused():
    with pytest.raises(ValueError, match="temperature is 0: it must be positive"):
        build(**TINY).generate_images(temperature=0)
    with pytest.raises(ValueError, match="are no first rows of 4 x 4"):
        build(**TINY).generate_images(prefix_pixels=torch.zeros(1, 1, 5, 4))
