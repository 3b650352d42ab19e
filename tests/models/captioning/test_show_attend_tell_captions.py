"""Show, Attend and Tell: captions in batches, and captions that are searched for."""

import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers.modeling_outputs import BaseModelOutput

from hfmm.nn.captioning import IGNORED
from tests.models.captioning.tiny_show_attend_tell import (
    END,
    LENGTHS,
    START,
    annotations,
    captioner,
    captions,
    pictures,
)

# Captions in batches


def test_the_packed_loss_is_the_padded_loss():
    model, labels = captioner(doubly_stochastic_lambda=0.0), captions()
    inputs = torch.cat([torch.full((3, 1), START), labels[:, :-1]], 1).clamp(min=0)
    padded = model(pictures(), decoder_input_ids=inputs).logits  # every row to the end
    packed = model(pictures(), labels=labels)
    expected = cross_entropy(padded.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    torch.testing.assert_close(packed.loss, expected)
    torch.testing.assert_close(packed.logits[labels != IGNORED], padded[labels != IGNORED])
    assert not packed.logits[labels == IGNORED].any()
    assert model(pictures(), labels=labels, output_logits=False).logits is None


def test_longer_padding_and_another_order_change_nothing():
    model, labels, order = captioner(), captions(), [2, 0, 1]
    output = model(pictures(), labels=labels)
    padded = model(pictures(), labels=torch.cat([labels, torch.full((3, 2), IGNORED)], 1))
    permuted = model(pictures()[order], labels=labels[order])
    for other in (padded, permuted):
        torch.testing.assert_close(other.loss, output.loss)
    torch.testing.assert_close(padded.log_likelihood, output.log_likelihood)
    torch.testing.assert_close(permuted.log_likelihood, output.log_likelihood[order])
    torch.testing.assert_close(permuted.cross_attentions[0], output.cross_attentions[0][order])


def test_a_label_ignored_within_a_caption_is_no_word_of_the_loss():
    model, labels = captioner(doubly_stochastic_lambda=0.0), captions()
    whole = model(pictures(), labels=labels)
    inputs = torch.cat([torch.full((3, 1), START), labels[:, :-1]], 1).clamp(min=0)
    labels[1, 2] = IGNORED
    output = model(pictures(), decoder_input_ids=inputs, labels=labels)
    torch.testing.assert_close(output.logits[1, 4], whole.logits[1, 4])
    expected = cross_entropy(output.logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("fields", [{}, {"attention_type": "hard"}])
def test_losses_add_up_and_are_divided_by_the_number_of_items(fields):
    model = captioner(**fields)
    output = model(pictures(), labels=captions())
    summed = model(pictures(), labels=captions(), num_items_in_batch=torch.tensor(1))
    torch.testing.assert_close(sum(output.losses.values()), output.loss)
    torch.testing.assert_close(output.loss * 10, summed.loss)
    torch.testing.assert_close(-output.log_likelihood.sum(), summed.losses["negative_log_likelihood"])


def test_going_on_from_a_state_is_reading_the_whole():
    model, words = captioner(), torch.tensor([[START, 5, 6, 7]] * 3)
    whole = model(pictures(), decoder_input_ids=words)
    first = model(pictures(), decoder_input_ids=words[:, :2], use_cache=True)
    rest = model(pictures(), decoder_input_ids=words[:, 2:], state=first.state)
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], 1), whole.logits)


def test_the_state_is_that_after_the_last_word_of_each_caption():
    model, labels = captioner(), captions()
    state = model(pictures(), labels=labels, use_cache=True).state
    for row, length in enumerate(LENGTHS):
        words = torch.cat([torch.tensor([START]), labels[row, : length - 1]])[None]
        alone = model(pictures()[row : row + 1], decoder_input_ids=words, use_cache=True).state
        for part, expected in zip(state, alone, strict=True):
            torch.testing.assert_close(part[row : row + 1], expected)


def test_autocast_leaves_the_decoder_its_precision():
    model = captioner()
    expected = model(encoder_outputs=(annotations(),), labels=captions())
    with torch.autocast("cpu", torch.bfloat16):
        output = model(encoder_outputs=(annotations(),), labels=captions())
        assert model(pictures(), labels=captions()).logits.dtype == torch.float32
    assert torch.equal(output.logits, expected.logits)


# Search


def every_caption(length):
    """All captions of a five-word vocabulary up to that length, whole ones or cut off."""
    others = [word for word in range(5) if word != END]
    whole = [(*words, END) for size in range(length) for words in itertools.product(others, repeat=size)]
    return whole + list(itertools.product(others, repeat=length))


@pytest.mark.parametrize("fields", [{}, {"attention_type": "hard"}])
@torch.no_grad()
def test_exhaustive_beam_search_is_brute_force(fields):
    length, seen = 3, annotations(1)
    model = captioner(vocab_size=5, **fields)
    candidates = every_caption(length)
    labels = torch.full((len(candidates), length), IGNORED)
    for row, words in zip(labels, candidates, strict=True):
        row[: len(words)] = torch.tensor(words)
    scores = model(encoder_outputs=(seen.expand(len(labels), -1, -1),), labels=labels).log_likelihood
    order = scores.argsort(descending=True)
    output = model.generate(
        encoder_outputs=BaseModelOutput(seen), num_beams=5**length, num_return_sequences=len(candidates),
        max_new_tokens=length, length_penalty=0.0, early_stopping="never", output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    torch.testing.assert_close(output.sequences_scores, scores[order], rtol=1e-4, atol=1e-4)
    found = [tuple(row[1:].tolist()) for row in output.sequences]
    found = [row[: row.index(END) + 1] if END in row else row for row in found]  # padding follows the end
    assert found[0] == candidates[order[0]]
    assert sorted(found) == sorted(candidates)


@torch.no_grad()
def test_generate_tells_where_it_looked():
    model = captioner()
    told = model.generate(pictures(), max_new_tokens=4, output_attentions=True, return_dict_in_generate=True)
    looked = torch.cat([step[0] for step in told.cross_attentions], 1)  # B T L
    again = model(pictures(), decoder_input_ids=told.sequences[:, :-1]).cross_attentions[0]
    torch.testing.assert_close(looked, again)


@torch.no_grad()
def test_generate_encodes_pictures_once_and_projects_them_once(monkeypatch):
    model, seen = captioner(), []
    model.get_encoder().register_forward_hook(lambda *call: seen.append("encoder"))
    model.model.decoder.annotation_projection.register_forward_hook(lambda *call: seen.append("projection"))
    model.generate(pictures(), num_beams=3, max_new_tokens=5)
    assert seen == ["encoder", "projection"]
