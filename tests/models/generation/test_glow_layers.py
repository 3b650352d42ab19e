"""Glow's layers and the whole flow: their inverses, their log-determinants, and how they start."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

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
    squeeze,
    unsqueeze,
)
from tests.models.generation.tiny_glow import TINY, VARIANTS, build, generator, noise, part, random
from tests.testing import seeded


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
