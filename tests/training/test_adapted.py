"""Adapted linear layers in one piece: PEFT's outputs and gradients, and PEFT itself where there is more to compute."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from torch import nn

from hfmm.training.adapted import AdaptedLinear, _Adapted
from tests.testing import seeded


def adapted(own, dtype=torch.float32, **settings):
    """A layer with adapters that do something, PEFT's own or ours."""
    with seeded():
        model = nn.Sequential(nn.Linear(12, 20)).to(dtype)
        config = LoraConfig(r=3, lora_alpha=7, target_modules=["0"], **settings)
        if own:
            config._register_custom_module({nn.Linear: AdaptedLinear})
        model = get_peft_model(model, config).base_model.model
        nn.init.normal_(model[0].lora_B["default"].weight, std=0.3)
    assert type(model[0]) is (AdaptedLinear if own else Linear)
    return model


def inputs(dtype=torch.float32):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(2, 5, 12, generator=draw, dtype=dtype).requires_grad_()


def computed(model, given, autocast=False):
    """The output, and the gradients of a sum of squares by the inputs and the adapters."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = model(given)
    trained = [given, *(weight for weight in model.parameters() if weight.requires_grad)]
    return output, *torch.autograd.grad(output.float().square().sum(), trained)


@pytest.fixture
def pieces(monkeypatch):
    """How often a layer was computed in one piece."""
    seen = []
    apply = _Adapted.apply
    monkeypatch.setattr(_Adapted, "apply", lambda *given: seen.append(1) or apply(*given))
    return seen


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_and_gradients_are_pefts(pieces, dtype, settings):
    theirs = computed(adapted(own=False, dtype=dtype, **settings), inputs(dtype))
    ours = computed(adapted(own=True, dtype=dtype, **settings), inputs(dtype))
    assert len(pieces) == 1
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.dtype == expected.dtype
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)


def test_in_bf16_it_is_near_to_the_truth_like_peft(pieces):
    truth = computed(adapted(own=False), inputs())
    theirs = computed(adapted(own=False), inputs(), autocast=True)
    ours = computed(adapted(own=True), inputs(), autocast=True)
    assert len(pieces) == 1
    for mine, other, exact in zip(ours, theirs, truth, strict=True):
        assert mine.dtype == other.dtype
        for found in (mine, other):
            assert (found.float() - exact).norm() < 2**-7 * exact.norm()  # bf16 has 8 bits


def test_a_frozen_weight_is_converted_once_and_again_when_it_changes():
    model, given = adapted(own=True), inputs()
    first = computed(model, given, autocast=True)[0]
    kept = model[0].converted[1]
    computed(model, given, autocast=True)
    assert model[0].converted[1] is kept
    with torch.no_grad():
        model[0].base_layer.weight.mul_(2)
    changed = computed(model, given, autocast=True)[0]
    assert model[0].converted[1] is not kept
    assert not torch.equal(changed, first)


def test_half_precision_of_the_base_stays(pieces):
    model = adapted(own=True, dtype=torch.bfloat16)
    output, *_ = computed(model, inputs(torch.bfloat16))
    assert output.dtype == torch.bfloat16
    assert model[0].converted is None
    assert len(pieces) == 1


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_what_is_more_than_the_equation_is_left_to_peft(pieces, settings):
    ours, theirs = (adapted(own=own, **settings) for own in (True, False))
    with seeded(2):
        mine = computed(ours, inputs())
    with seeded(2):
        expected = computed(theirs, inputs())
    assert not pieces
    for one, other in zip(mine, expected, strict=True):
        assert torch.equal(one, other)


def test_a_bias_that_learns_and_a_single_vector_are_left_to_peft(pieces):
    model = adapted(own=True)
    vector = inputs()[0, 0].detach()
    torch.testing.assert_close(model(vector), adapted(own=False)(vector))
    model[0].base_layer.bias.requires_grad_()
    model(inputs()).sum().backward()
    assert model[0].base_layer.bias.grad is not None
    assert not pieces


def test_dropout_ends_with_training(pieces):
    model = adapted(own=True, lora_dropout=0.5).eval()
    torch.testing.assert_close(model(inputs()), adapted(own=False, lora_dropout=0.5).eval()(inputs()))
    assert len(pieces) == 1


def test_switched_off_and_merged_adapters_are_pefts(pieces):
    model, given = adapted(own=True), inputs()
    with_adapters = model(given)
    model[0].enable_adapters(False)
    torch.testing.assert_close(model(given), model[0].base_layer(given))
    model[0].enable_adapters(True)
    model[0].merge()
    torch.testing.assert_close(model(given), with_adapters, rtol=1e-5, atol=1e-5)
    model[0].unmerge()
    torch.testing.assert_close(model(given), with_adapters, rtol=1e-5, atol=1e-5)
    assert len(pieces) == 2
