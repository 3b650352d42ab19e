"""Show and Tell: what the paper says, equation by equation (the shared contract comes from ModelTests)."""

import pytest
import torch
from torch import nn

from hfmm import factory
from hfmm.models.captioning.show_and_tell.configuration_show_and_tell import ShowAndTellConfig
from hfmm.models.captioning.show_and_tell.modeling_show_and_tell import (
    ShowAndTellForConditionalGeneration,
    ShowAndTellModel,
    _Recurrence,
)
from hfmm.models.captioning.show_and_tell.processing_show_and_tell import ShowAndTellProcessor
from tests.models.captioning.tiny_show_and_tell import (
    EMBEDDING,
    FEATURES,
    HIDDEN,
    START,
    by_hand,
    captioner,
    captions,
    config,
    features,
    pictures,
)
from tests.testing import ModelTests
from tests.testing_generation import Describes, Generates
from tests.testing_hub import Bundles


class TestShowAndTell(ModelTests, Generates, Describes, Bundles):
    architecture = "show_and_tell"
    model_class = ShowAndTellForConditionalGeneration
    processor_class = ShowAndTellProcessor

    def config(self):
        return config()

    def inputs(self):
        return {"pixel_values": pictures(), "labels": captions()}


class TestReleasedForm(TestShowAndTell):
    """The variants: tanh and biases of the released code, the picture at every step, a flattened map."""

    def config(self):
        released = {"lstm_bias": True, "lstm_output_tanh": True, "feed_image_every_step": True}
        sizes = {"image_feature_size": FEATURES * 16, "hidden_size": 16, "initializer_range": 0.3}
        return config(**released, **sizes, feature_pooling="flatten")


class TestShowAndTellModel(ModelTests, Bundles):
    architecture = "show_and_tell"
    model_class = ShowAndTellModel

    def config(self):
        return config()

    def inputs(self):
        return {"pixel_values": pictures(), "decoder_input_ids": torch.tensor([[START, 5, 6]] * 3)}

    def loss(self, output):
        return (output.last_hidden_state**2).mean()


# Parameters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "count"), [("paper", 12_871_952), ("im2txt", 15_448_288)])
def test_decoder_side_parameter_counts(preset, count):
    with torch.device("meta"):
        model = factory.create_model("show_and_tell", preset)
    assert sum(value.numel() for name, value in model.named_parameters() if "encoder" not in name) == count


def test_the_default_is_the_papers_lstm():
    assert not any("bias" in name for name, _ in captioner().model.lstm.named_parameters())
    assert (ShowAndTellConfig().lstm_output_tanh, ShowAndTellConfig().feed_image_every_step) == (False, False)
    assert factory.find_preset(factory.ready_row("show_and_tell"), "paper")["generation"]["num_beams"] == 20


@pytest.mark.parametrize("forget_bias", [1, 2.5])
def test_weights_start_uniform_and_the_forget_bias_at_its_constant(forget_bias):
    model = captioner(lstm_bias=True, forget_bias=forget_bias, initializer_range=0.08, hidden_size=64)
    for name, value in model.named_parameters():
        if "encoder" not in name and "bias" not in name:
            assert 0.07 < value.abs().max() <= 0.08
    input_gate, forget_gate, candidate, output_gate = model.model.lstm.input_gates.bias.chunk(4)
    assert (forget_gate == forget_bias).all()
    assert not torch.cat([input_gate, candidate, output_gate]).any()


# Equations 4 to 12 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [{}, {"lstm_bias": True, "lstm_output_tanh": True}])
@torch.no_grad()
def test_the_recurrence_equals_the_equations(form):
    model, words = captioner(**form), [START, 5, 6, 7]
    found = model(encoder_outputs=(features(1),), decoder_input_ids=torch.tensor([words])).logits[0]
    expected, _ = by_hand(model, features(1)[0], words, form.get("lstm_output_tanh", False))
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_with_tanh_and_biases_the_cell_equals_torch_lstm():
    model = captioner(lstm_output_tanh=True, lstm_bias=True).model
    reference = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
    reference.weight_ih_l0.copy_(model.lstm.input_gates.weight)
    reference.weight_hh_l0.copy_(model.lstm.recurrent_weight)
    reference.bias_ih_l0.copy_(model.lstm.input_gates.bias)
    reference.bias_hh_l0.zero_()
    words = torch.tensor([[START, 5, 6], [START, 7, 8], [START, 9, 10]])
    inputs = torch.cat([model.image_projection(features()), model.embed_tokens(words)], 1)  # B 1+T E
    hidden, (last_hidden, last_cell) = reference(inputs)
    output = model(encoder_outputs=(features(),), decoder_input_ids=words, use_cache=True)
    torch.testing.assert_close(output.last_hidden_state, hidden[:, 1:])
    torch.testing.assert_close(output.state, (last_hidden[0], last_cell[0]))


@torch.no_grad()
def test_without_tanh_the_cell_differs_by_the_tanh_alone():
    plain, squashed = captioner(lstm_bias=True).model, captioner(lstm_bias=True, lstm_output_tanh=True).model
    squashed.load_state_dict(plain.state_dict())
    hidden, cell = plain.initial_state(features())
    squashed_hidden, squashed_cell = squashed.initial_state(features())
    assert torch.equal(cell, squashed_cell)  # before any m, both have the same c
    torch.testing.assert_close(squashed_hidden / squashed_cell.tanh(), hidden / cell)  # o_t
    assert not torch.allclose(hidden, squashed_hidden)


@pytest.mark.parametrize("output_tanh", [False, True])
def test_the_hand_written_gradient_is_the_derivative(output_tanh):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3 + 2 + 2, 8), (8, 2), (3, 2), (3, 2)]  # gates, W_m, m and c of three captions of lengths 3, 3 and 1
    inputs = [torch.randn(shape, generator=generator, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(lambda *parts: _Recurrence.apply(*parts, [3, 2, 2], output_tanh), inputs)


# The picture is seen once -------------------------------------------------------------------------------------------


def test_the_picture_enters_through_the_first_state_alone():
    model, words = captioner(), torch.tensor([[START, 5, 6]] * 3)
    state = model.model.initial_state(features())
    expected = model(encoder_outputs=(features(),), decoder_input_ids=words).logits
    other = torch.zeros_like(features())
    assert torch.equal(model(encoder_outputs=(other,), decoder_input_ids=words, state=state).logits, expected)
    assert torch.equal(model(decoder_input_ids=words, state=state).logits, expected)
    assert not torch.allclose(model(encoder_outputs=(other,), decoder_input_ids=words).logits, expected)


def test_no_gradient_reaches_the_picture_past_the_first_state():
    model, picture = captioner(), pictures().requires_grad_()
    state = model.model.initial_state(features())
    model(pixel_values=picture, labels=captions(), state=state).loss.backward()
    assert picture.grad is None


@torch.no_grad()
def test_fed_at_every_step_the_picture_stands_beside_every_word():
    model, words = captioner(feed_image_every_step=True).model, torch.tensor([[START, 5, 6]] * 3)
    state = model.initial_state(features())
    image = model.image_projection(features()).expand(-1, 3, -1)
    both = torch.cat([model.embed_tokens(words), image], 2)  # B T 2E
    reference = nn.LSTM(2 * EMBEDDING, HIDDEN, bias=False, batch_first=True)
    reference.weight_ih_l0.copy_(torch.cat([model.lstm.input_gates.weight, model.image_gates.weight], 1))
    reference.weight_hh_l0.copy_(model.lstm.recurrent_weight)
    model.lstm.output_tanh = True
    found = model(encoder_outputs=(features(),), decoder_input_ids=words, state=state).last_hidden_state
    torch.testing.assert_close(found, reference(both, tuple(part[None] for part in state))[0])


def test_generation_encodes_each_picture_once():
    model, seen = captioner(), []
    model.get_encoder().register_forward_hook(lambda part, inputs, output: seen.append(len(output[0])))
    model.generate(pixel_values=pictures(), num_beams=4, max_new_tokens=5)
    assert seen == [3]


@pytest.mark.parametrize("feed_image_every_step", [False, True])
def test_without_picture_features_or_state_there_is_one_clear_line(feed_image_every_step):
    with pytest.raises(ValueError, match="pixel_values and encoder_outputs are missing"):
        captioner(feed_image_every_step=feed_image_every_step)(labels=captions())
