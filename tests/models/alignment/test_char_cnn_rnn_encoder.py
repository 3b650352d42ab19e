"""The character encoder of the structured joint embedding, and it written again."""

import pytest
import torch
from torch.nn.functional import max_pool1d, one_hot

from hfmm.models.alignment.char_cnn_rnn.processing_char_cnn_rnn import (
    ALPHABET,
    CharCnnRnnProcessor,
    character_tokenizer,
)
from tests.models.alignment.tiny_char_cnn_rnn import LENGTH, joint, random

# Characters ---------------------------------------------------------------------------------------------------------


def test_the_alphabet_has_seventy_slots_and_the_hyphen_the_later_of_its_two():
    tokenizer = character_tokenizer()
    assert len(ALPHABET) == 70
    assert [slot for slot, character in enumerate(ALPHABET, 1) if character == "-"] == [37, 60]
    assert tokenizer("-")["input_ids"] == [60]
    for character in set(ALPHABET) - {"-"}:
        assert tokenizer(character)["input_ids"] == [ALPHABET.index(character) + 1]
    assert len(tokenizer) == 72 == joint().config.vocab_size


def test_characters_are_cut_lowered_and_come_back():
    processor = CharCnnRnnProcessor.from_corpus([], max_length=201)
    text = "This small bird, grey-white, has a 3-inch beak!"
    ids = processor.tokenizer(text)["input_ids"]
    assert processor.tokenizer.decode(ids) == text.lower()
    assert processor.tokenizer(text.upper())["input_ids"] == ids
    assert len(processor.tokenizer("a" * 300, truncation=True)["input_ids"]) == 201


def test_an_unknown_level_is_told():
    with pytest.raises(ValueError, match="level is 'letter'"):
        CharCnnRnnProcessor.from_corpus([], level="letter")


@torch.no_grad()
def test_a_character_outside_the_alphabet_is_a_column_of_zeros():
    model = joint()
    seen = []
    model.text_encoder.convolutions[0].register_forward_hook(lambda part, given, found: seen.append(given[0]))
    ids = character_tokenizer()("a\u00e9-")["input_ids"]
    model.get_text_features(torch.tensor([ids]))
    (columns,) = seen
    assert columns.shape == (1, 70, LENGTH)
    assert columns.sum((0, 1)).tolist() == [1, 0, 1] + [0] * (LENGTH - 3)
    assert columns[0, 0, 0] == columns[0, 59, 2] == 1


@torch.no_grad()
def test_padding_ends_the_sentence():
    model = joint()
    ids = torch.tensor([[5, 6, 0, 7, 8]])
    expected = model.get_text_features(ids[:, :2]).pooler_output
    torch.testing.assert_close(model.get_text_features(ids).pooler_output, expected)


@torch.no_grad()
def test_characters_beyond_the_length_are_not_read():
    model = joint()
    ids = torch.randint(1, 71, (2, LENGTH + 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        model.get_text_features(ids).pooler_output, model.get_text_features(ids[:, :LENGTH]).pooler_output
    )


# The encoder written again ------------------------------------------------------------------------------------------


def by_hand(model, ids, gated):
    """One sentence, one step after the other."""
    weights = dict(model.text_encoder.named_parameters())
    columns = one_hot(ids - 1, 70).float()  # L V
    found = columns
    for index, stride in enumerate(model.config.pool_strides):
        weight, bias = weights[f"convolutions.{index}.weight"], weights[f"convolutions.{index}.bias"]
        places = len(found) - weight.shape[2] + 1
        rows = [
            sum(weight[:, :, shift] @ found[place + shift] for shift in range(weight.shape[2])) + bias
            for place in range(places)
        ]
        found = max_pool1d(torch.stack(rows).relu().T, 3, stride).T
    w, b = weights["recurrent.input_gates.weight"], weights["recurrent.input_gates.bias"]
    u, c = weights["recurrent.recurrent_gates.weight"], weights["recurrent.recurrent_gates.bias"]
    size, states = found.shape[1], []
    for x in found:
        a = w @ x + b
        if not gated:
            states.append((a + (u @ states[-1] + c if states else 0)).relu())
        elif not states:
            states.append(a[2 * size :].tanh())
        else:
            h = states[-1]
            update, reset = (a[: 2 * size] + u @ h + c).sigmoid().split(size)
            proposed = weights["recurrent.recurrent_candidate.weight"] @ (reset * h)
            proposed = (a[2 * size :] + proposed + weights["recurrent.recurrent_candidate.bias"]).tanh()
            states.append(update * proposed + (1 - update) * h)
    return states, weights["projection.weight"], weights["projection.bias"]


@pytest.mark.parametrize("time_pooling", ["mean", "last"])
@pytest.mark.parametrize("cell", ["rnn", "gru"])
@torch.no_grad()
def test_the_encoder_equals_its_equations(cell, time_pooling):
    model = joint(cell=cell, time_pooling=time_pooling)
    ids = torch.randint(1, 71, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    for row, found in zip(ids, model.get_text_features(ids).pooler_output, strict=True):
        states, weight, bias = by_hand(model, row, gated=cell == "gru")
        read = torch.stack(states).mean(0) if time_pooling == "mean" else states[-1]
        torch.testing.assert_close(found, weight @ read + bias, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_first_step_has_no_hidden_bias():
    model = joint()
    given = random(2, 1, 10)
    expected = model.text_encoder.recurrent.input_gates(given).relu()
    torch.testing.assert_close(model.text_encoder.recurrent(given), expected)


@torch.no_grad()
def test_a_bag_of_words_counts():
    model = joint(reads="bag_of_words")
    ids = torch.tensor([[5, 6, 5, 0], [5, 5, 6, 0]])
    found = model.get_text_features(ids).pooler_output
    torch.testing.assert_close(found[0], found[1])
    weight, bias = model.text_encoder.projection.weight, model.text_encoder.projection.bias
    torch.testing.assert_close(found[0], 2 * weight[:, 5] + weight[:, 6] + bias)
