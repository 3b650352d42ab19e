"""Glow: what the paper and the released code say, layer by layer; the shared contract comes from ModelTests."""

import math

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

import hfmm
from hfmm.models.generation.glow.configuration_glow import GlowConfig
from hfmm.models.generation.glow.modeling_glow import (
    ActNorm,
    Coupling,
    FlowStep,
    GlowModel,
    InvertibleConv1x1,
    InvertibleConv1x1Lu,
    Permutation,
    Split,
    TopPrior,
    squeeze,
    unsqueeze,
)
from tests.testing import ModelTests, seeded
from tests.testing_pictures import DrawsPictures

TINY = {"num_channels": 1, "image_size": 4, "num_levels": 2, "depth": 2, "hidden_size": 8}
VARIANTS = [
    {},
    {"coupling": "additive"},
    {"coupling_scale": "exp", "permutation": "reverse"},
    {"permutation": "shuffle", "learn_top": False},
    {"lu_decomposed": True, "edge_padding_channel": True},
    {"label_condition": True, "num_labels": 3, "num_channels": 3},
]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(model):
    """With what starts as zero moved a little."""
    with seeded(7), torch.no_grad():
        for value in model.parameters():
            value += 0.1 * torch.randn_like(value)
    return model


def build(**fields):
    with seeded():
        return shaken(GlowModel(GlowConfig(**TINY | fields)).eval())


def part(kind, *arguments):
    """A layer of a model in double precision, its weights set and shaken."""
    with seeded():
        layer = kind(*arguments)
        layer.apply(GlowModel(GlowConfig(**TINY))._init_weights)
    return shaken(layer).double()


class TestGlow(ModelTests, DrawsPictures):
    architecture = "glow"
    model_class = GlowModel
    overfit_ratio = 0.7  # of -log p, which may fall below zero but for the noise within a level's bin

    def config(self):
        return GlowConfig(**TINY)

    def model(self):
        return shaken(super().model())  # zeros would let no gradient into a coupling's net

    def inputs(self):
        return {"pixel_values": (random(3, 1, 4, 4) * 255).round() / 255}


class TestLuEdgeClassGlow(TestGlow):
    def config(self):
        return GlowConfig(
            **TINY | {"num_channels": 3, "image_size": 8},
            lu_decomposed=True,
            edge_padding_channel=True,
            label_condition=True,
            num_labels=3,
        )

    def inputs(self):
        return {"pixel_values": (random(3, 3, 8, 8) * 255).round() / 255, "labels": torch.tensor([0, 1, 2])}


# Each layer: undone, and its log-determinant


def log_det_of(function, values):
    """log abs det of a function's Jacobian at one example, from autograd."""
    found = jacobian(lambda inside: function(inside).flatten(), values)
    return torch.linalg.slogdet(found.reshape(values.numel(), values.numel()))[1]


CONFIGS = {
    name: GlowConfig(**TINY | fields)
    for name, fields in (
        ("affine", {}),
        ("exp", {"coupling_scale": "exp"}),
        ("additive", {"coupling": "additive"}),
        ("edge", {"edge_padding_channel": True}),
        ("lu", {"lu_decomposed": True}),
    )
}
LAYERS = {
    "actnorm": (ActNorm, 4),
    "conv": (InvertibleConv1x1, 4),
    "lu": (InvertibleConv1x1Lu, 4),
    "reverse": (Permutation, 4, False),
    "shuffle": (Permutation, 4, True),
    **{f"coupling {name}": (Coupling, 4, config) for name, config in CONFIGS.items()},
    **{f"step {name}": (FlowStep, 4, config) for name, config in CONFIGS.items()},
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_undone_and_says_its_log_determinant(name):
    layer, values = part(*LAYERS[name]), noise(2, 4, 2, 3)
    moved, log_det = layer(values)
    torch.testing.assert_close(layer.inverse(moved), values, rtol=0, atol=1e-9)
    found = log_det.expand(2)
    for row in range(2):
        expected = log_det_of(lambda inside: layer(inside)[0], values[row : row + 1])
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["affine", "edge"])
def test_a_split_is_undone_and_says_its_log_determinant(name):
    layer, values = part(Split, 4, CONFIGS[name]), noise(1, 4, 2, 3)
    kept, code, log_det = layer(values)
    torch.testing.assert_close(layer.inverse(kept, code), values, rtol=0, atol=1e-9)
    expected = log_det_of(lambda inside: torch.cat(layer(inside)[:2], dim=1), values)
    torch.testing.assert_close(log_det[0], expected, rtol=0, atol=1e-9)


def test_squeeze_by_hand():  # channel-major: a channel's 2 x 2 block, row by row
    values = torch.arange(8.0).view(1, 2, 2, 2)
    assert squeeze(values).flatten().tolist() == list(range(8))
    picture = noise(2, 3, 4, 6)
    assert torch.equal(unsqueeze(squeeze(picture)), picture)
    assert torch.equal(squeeze(picture)[0, 4:8, 1, 2], picture[0, 1, 2:4, 4:6].flatten())
    assert log_det_of(squeeze, picture[:1]) == 0


@pytest.mark.parametrize("fields", VARIANTS)
def test_the_whole_net_is_undone(fields):
    model, labels = build(**fields), torch.tensor([1, 2]) if "num_labels" in fields else None
    channels = model.config.num_channels
    for kind, tolerance in ((torch.float, 1e-4), (torch.double, 1e-9)):
        model, values = model.to(kind), 0.3 * noise(2, channels, 4, 4).to(kind)
        latents, _, _ = model.flow(values, labels)
        assert [tuple(latent.shape[1:]) for latent in latents] == model.shapes()
        torch.testing.assert_close(model.inverse(latents, labels), values, rtol=0, atol=tolerance)


@pytest.mark.parametrize("fields", VARIANTS)
def test_log_determinant_of_the_whole_net_is_that_of_its_jacobian(fields):  # Eq. 6
    model, labels = build(**fields).double(), torch.tensor([1]) if "num_labels" in fields else None
    values = 0.3 * noise(1, model.config.num_channels, 4, 4)

    def code(inside):
        return torch.cat([latent.flatten() for latent in model.flow(inside, labels)[0]])

    _, stretched, _ = model.flow(values, labels)
    torch.testing.assert_close(stretched[0], log_det_of(code, values), rtol=0, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGS)
def test_density_of_a_step_integrates_to_one(name):  # a picture of two numbers
    step = part(FlowStep, 2, CONFIGS[name])
    line = torch.linspace(-8, 8, 401, dtype=torch.double)
    points = torch.cartesian_prod(line, line)[:, :, None, None]
    moved, log_det = step(points)
    density = torch.distributions.Normal(0, 1).log_prob(moved).sum((1, 2, 3)) + log_det
    assert density.exp().sum().item() * (16 / 400) ** 2 == pytest.approx(1, abs=1e-3)


# How they start


def test_the_first_batch_sets_the_actnorms_once(tmp_path):  # section 3.1
    with seeded():
        model = GlowModel(GlowConfig(**TINY)).train()
    pictures, outputs = random(64, 1, 4, 4), {}
    assert not model.started
    model(pictures, generator=generator())
    assert model.started
    norms = {name: module for name, module in model.named_modules() if isinstance(module, ActNorm)}
    for name, norm in norms.items():
        norm.register_forward_hook(lambda module, inputs, output, name=name: outputs.update({name: output[0]}))
    model(pictures, generator=generator())
    assert len(norms) == 12
    for values in outputs.values():
        torch.testing.assert_close(values.mean((0, 2, 3)), torch.zeros(values.shape[1]), rtol=0, atol=1e-3)
        torch.testing.assert_close(values.var((0, 2, 3), correction=0), torch.ones(values.shape[1]), rtol=0, atol=1e-2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(tmp_path)
    again = GlowModel.from_pretrained(tmp_path).train()
    assert again.started
    again(0.1 * pictures, generator=generator())  # other pictures move nothing any more
    assert all(torch.equal(value, before[name]) for name, value in again.state_dict().items())


def test_evaluation_does_not_set_the_actnorms():
    with seeded():
        model = GlowModel(GlowConfig(**TINY)).eval()
    model(random(8, 1, 4, 4))
    assert not model.started


@torch.no_grad()
def test_couplings_start_as_the_released_ones():
    values = noise(2, 4, 2, 2)
    for name, scale in (("affine", 1 / (1 + math.exp(-2))), ("exp", 1.0), ("additive", 1.0)):
        with seeded():
            layer = Coupling(4, CONFIGS[name])
            layer.apply(GlowModel(CONFIGS[name])._init_weights)
        moved, log_det = layer.double()(values)
        torch.testing.assert_close(moved[:, :2], values[:, :2])
        torch.testing.assert_close(moved[:, 2:], scale * values[:, 2:])
        torch.testing.assert_close(log_det, torch.full((2,), 8 * math.log(scale), dtype=torch.double))
    assert 1 / (1 + math.exp(-2)) == pytest.approx(0.8808, abs=1e-4)


@torch.no_grad()
def test_a_coupling_by_hand():  # (moved + said[0::2]) * sigmoid(said[1::2] + 2)
    layer, values = part(Coupling, 4, CONFIGS["affine"]), noise(1, 4, 2, 2)
    said = layer.net(values[:, :2])
    expected = (values[:, 2:] + said[:, [0, 2]]) * torch.sigmoid(said[:, [1, 3]] + 2)
    torch.testing.assert_close(layer(values)[0][:, 2:], expected)


def test_the_1x1_convolution_starts_as_a_rotation():  # section 3.2: log abs det 0
    for kind in (InvertibleConv1x1, InvertibleConv1x1Lu):
        layer = kind(6)
        with seeded():
            GlowModel(GlowConfig(**TINY))._init_weights(layer)
        _, log_det = layer(torch.zeros(1, 6, 2, 2))
        assert log_det.item() == pytest.approx(0, abs=1e-4)
        mixed, _ = layer(torch.eye(6)[:, :, None, None])
        torch.testing.assert_close(mixed.flatten(1) @ mixed.flatten(1).T, torch.eye(6), rtol=0, atol=1e-5)


def test_the_lu_form_is_the_same_matrix():  # Eq. 11, P and the signs do not learn
    layers = []
    for kind in (InvertibleConv1x1, InvertibleConv1x1Lu):
        layer = kind(5)
        with seeded():
            GlowModel(GlowConfig(**TINY))._init_weights(layer)
        layers.append(layer)
    dense, factored = layers
    lower, upper = factored.factors()
    torch.testing.assert_close(factored.order @ lower @ upper, dense.weight)
    assert torch.equal(factored.order.sum(0), torch.ones(5))
    assert [name for name, _ in factored.named_parameters()] == ["lower", "upper", "log_diagonal"]


# The likelihood of discrete pictures


@torch.no_grad()
def test_identity_layers_leave_the_likelihood_of_noise():  # additive couplings of zero, reversed channels
    with seeded():
        model = GlowModel(GlowConfig(**TINY, coupling="additive", permutation="reverse", num_bits=5)).eval()
    pictures = random(3, 1, 4, 4)
    values = (pictures * 255).round().div(8).floor().add(0.5) / 32 - 0.5
    expected = -0.5 * (values.square() + math.log(2 * math.pi)).sum((1, 2, 3)) - 16 * 5 * math.log(2)
    output = model(pictures)
    torch.testing.assert_close(output.log_likelihood, expected)
    assert output.losses["bits_per_dim"].item() == pytest.approx(-expected.mean().item() / 16 / math.log(2))


@torch.no_grad()
@pytest.mark.parametrize("bits", [1, 5, 8])
def test_levels_come_back_from_their_bins(bits):
    model, pictures = build(num_bits=bits), torch.arange(256).view(16, 1, 4, 4) / 255
    levels = torch.arange(256).view(16, 1, 4, 4) // 2 ** (8 - bits)
    for noisy in (False, True):
        values = model.to_values(pictures, noisy, generator())
        assert ((values + 0.5) * 2**bits).floor().long().equal(levels)
        assert -0.5 <= values.min() < values.max() < 0.5
        torch.testing.assert_close(model.to_pixel_values(values), levels / (2**bits - 1))
    torch.testing.assert_close(model.decode(model.encode(pictures)), levels / (2**bits - 1))


@torch.no_grad()
def test_noise_is_drawn_in_training_and_for_scores():
    model, pictures = build(), random(2, 1, 4, 4)
    middle = model(pictures).log_likelihood
    assert torch.equal(model(pictures).log_likelihood, middle)
    drawn = model.log_likelihood(pictures, generator())
    assert torch.equal(model.log_likelihood(pictures, generator()), drawn)
    assert not torch.equal(drawn, middle)


# Pictures


@torch.no_grad()
def test_temperature_scales_the_code():
    model = build()
    cold, again = (model.generate_images(3, generator(seed), temperature=0) for seed in (0, 1))
    assert torch.equal(cold, again)
    codes = [torch.randn(3, *shape, generator=each) for each in [generator(2)] for shape in model.shapes()]
    expected = model.decode([0.5 * code for code in codes])
    assert torch.equal(model.generate_images(3, generator(2), temperature=0.5), expected)


@torch.no_grad()
def test_an_attribute_moves_the_code():  # z + alpha (z_pos - z_neg)
    model, bright, dark = build(), random(5, 1, 4, 4) / 2 + 0.5, random(4, 1, 4, 4) / 2
    direction = model.direction(bright, dark)
    for along, one, other in zip(direction, model.encode(bright), model.encode(dark), strict=True):
        torch.testing.assert_close(along[0], one.mean(0) - other.mean(0))
    levels = model.to_pixel_values(model.to_values(dark))
    torch.testing.assert_close(model.manipulate(dark, direction, 0), levels)
    assert model.manipulate(dark, direction, 1).mean() > dark.mean()


@torch.no_grad()
def test_a_class_moves_the_last_prior_and_is_predicted():  # released code: ycond, its weight 0.01
    model, pictures = build(label_condition=True, num_labels=3), random(4, 1, 4, 4)
    labels = torch.tensor([0, 1, 2, 0])
    output = model(pictures, labels=labels)
    assert not torch.equal(output.log_likelihood, model(pictures, labels=1 - labels % 2).log_likelihood)
    expected = nn.functional.cross_entropy(output.logits, labels)
    torch.testing.assert_close(output.losses["classifier"], expected)
    torch.testing.assert_close(output.loss, -output.log_likelihood.mean() + 0.01 * expected)
    drawn = [model.generate_images(1, generator(), labels=torch.tensor([label])) for label in (0, 1)]
    assert not torch.equal(*drawn)


# Sizes


@pytest.mark.parametrize(
    ("fields", "without_edge", "with_edge"),
    [
        ({}, 44_135_856, 44_603_604),
        ({"depth": 48}, 66_160_560, 66_861_588),
        ({"depth": 48, "num_levels": 4, "image_size": 64}, 111_412_560, 112_377_540),
        ({"coupling": "additive"}, None, 38_395_668),
        ({"coupling": "additive", "num_levels": 6, "image_size": 256}, None, 175_099_620),
    ],
)
def test_parameter_counts(fields, without_edge, with_edge):
    """Those of the released code, whose last prior holds a kernel over zeros as well."""
    for edge, count in ((False, without_edge), (True, with_edge)):
        if count is not None:
            with torch.device("meta"):
                model = GlowModel(GlowConfig(**fields, edge_padding_channel=edge))
            assert model.num_parameters() + 9 * len(model.top.bias) ** 2 == count


def test_the_paper_preset_is_that_of_cifar10():
    with torch.device("meta"):
        model = hfmm.create_model("glow", preset="paper")
    assert model.num_parameters() == 44_135_856 - 9 * 96**2


@torch.no_grad()
def test_the_last_prior_is_the_released_convolution_of_zeros():
    for edge in (False, True):
        config = GlowConfig(**TINY, edge_padding_channel=edge)
        prior = part(TopPrior, 3, config)
        ones = torch.nn.functional.pad(torch.zeros(1, 1, 2, 2).double(), (1, 1, 1, 1), value=1.0)
        said = prior.bias[:, None, None] + (nn.functional.conv2d(ones, prior.edge) if edge else 0)
        said = said * (3 * prior.log_scale).exp()[:, None, None]
        values = noise(1, 3, 2, 2)
        mean, log_scale = said.expand(1, 6, 2, 2).chunk(2, dim=1)
        torch.testing.assert_close(prior(values, None)[0], (values - mean) / log_scale.exp())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 28}, "image_size is 28, which cannot be halved 3 times"),
        ({"num_bits": 9}, "pictures have 1 to 8"),
        ({"depth": 0}, "must be positive"),
        ({"permutation": "none"}, "permutation"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        GlowConfig(**fields)
