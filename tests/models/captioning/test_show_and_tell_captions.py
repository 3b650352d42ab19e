"""Show and Tell: loss, decoding, learning, neighbors, parity with neuraltalk, configuration."""

import itertools

import numpy as np
import pytest
import torch
from transformers import ResNetConfig
from transformers.modeling_outputs import BaseModelOutput

from hfmm.models.captioning.show_and_tell.convert_show_and_tell import convert_arrays, convert_neuraltalk
from hfmm.models.captioning.show_and_tell.modeling_show_and_tell import (
    pack_words,
    unpack_words,
)
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from hfmm.nn.captioning import IGNORED
from tests.models.captioning.tiny_show_and_tell import (
    EMBEDDING,
    END,
    FEATURES,
    HIDDEN,
    PAD,
    START,
    by_hand,
    captioner,
    captions,
    features,
    pictures,
    sigmoid,
)
from tests.testing import descend, seeded

# Loss, Eq. 13 -------------------------------------------------------------------------------------------------------


def caption_log_probabilities(model, feature_rows, labels):
    """Log p(S | I) of each caption by hand."""
    sums = []
    for feature, row in zip(feature_rows, labels, strict=True):
        words = [word for word in row.tolist() if word != IGNORED]
        logits, _ = by_hand(model, feature, [START, *words[:-1]])
        sums.append(logits.log_softmax(1)[range(len(words)), words].sum())
    return torch.stack(sums)


def test_the_loss_is_the_negative_log_probability_of_the_words():
    model = captioner()
    total = -caption_log_probabilities(model, features(), captions()).sum()
    words = (captions() != IGNORED).sum()
    output = model(encoder_outputs=(features(),), labels=captions())
    torch.testing.assert_close(output.loss, total / words)
    torch.testing.assert_close(sum(output.losses.values()), output.loss)
    summed = model(encoder_outputs=(features(),), labels=captions(), num_items_in_batch=torch.tensor(1)).loss
    torch.testing.assert_close(summed, total)


def test_log_probability_under_labels_is_that_of_generation():
    model = captioner()
    output = model.generate(
        encoder_outputs=None, pixel_values=pictures(1), do_sample=False, num_beams=1, max_new_tokens=6,
        output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    told = output.sequences[:, 1:]
    steps = [scores.log_softmax(1)[0, word] for scores, word in zip(output.scores, told[0], strict=True)]
    loss = model(pixel_values=pictures(1), labels=told, num_items_in_batch=1).loss
    torch.testing.assert_close(-loss, torch.stack(steps).sum())


def test_packing_leaves_loss_and_gradients_as_they_are():
    """Captions alone, without padding, give the batch's loss and gradients."""
    model, alone = captioner(), captioner()
    model(encoder_outputs=(features(),), labels=captions(), num_items_in_batch=1).loss.backward()
    for feature, row in zip(features(), captions(), strict=True):
        labels = row[row != IGNORED][None]
        alone(encoder_outputs=(feature[None],), labels=labels, num_items_in_batch=1).loss.backward()
    for (name, one), (_, other) in zip(model.named_parameters(), alone.named_parameters(), strict=True):
        if "encoder" not in name:
            torch.testing.assert_close(one.grad, other.grad, msg=name)


def test_padded_logits_stand_where_their_words_are():
    model = captioner()
    output = model(encoder_outputs=(features(),), labels=captions())
    everywhere = model(encoder_outputs=(features(),), decoder_input_ids=words_read(captions())).logits
    real = captions() != IGNORED
    torch.testing.assert_close(output.logits[real], everywhere[real])
    assert not output.logits[~real].any()
    lean = model(encoder_outputs=(features(),), labels=captions(), output_logits=False)
    assert lean.logits is None
    assert torch.equal(lean.loss, output.loss)


def words_read(labels):
    words = torch.cat([torch.full((len(labels), 1), START), labels[:, :-1]], 1)
    return words.masked_fill(words == IGNORED, PAD)


def test_words_pack_by_step_and_length():
    words = torch.arange(15).view(3, 5)
    packing = pack_words(words, captions())
    assert packing.sizes == [3, 3, 2, 1, 1]
    assert words.flatten()[packing.positions].tolist() == [5, 0, 10, 6, 1, 11, 7, 2, 8, 9]
    assert words.flatten()[packing.last].tolist() == [2, 9, 11]
    unpacked = unpack_words(words.flatten()[packing.positions, None], packing)[..., 0]
    assert torch.equal(unpacked, words.masked_fill(captions() == IGNORED, 0))


def test_the_state_is_that_after_each_captions_last_word():
    model = captioner()
    state = model(encoder_outputs=(features(),), labels=captions(), use_cache=True).state
    for row, length in enumerate([3, 5, 2]):
        words = words_read(captions())[row : row + 1, :length]
        alone = model(encoder_outputs=(features()[row : row + 1],), decoder_input_ids=words, use_cache=True).state
        torch.testing.assert_close(tuple(part[row : row + 1] for part in state), alone)


def test_dropout_acts_on_what_enters_and_leaves_the_lstm():
    model = captioner(dropout=0.5).train()
    with seeded(3):
        first, second = (model(encoder_outputs=(features(),), labels=captions()).loss for _ in range(2))
    assert first != second
    assert torch.equal(*(model.eval()(encoder_outputs=(features(),), labels=captions()).loss for _ in range(2)))


# Decoding -----------------------------------------------------------------------------------------------------------


def every_caption(vocabulary, length):
    """All captions of at most `length` words: ended by END, or cut."""
    others = [word for word in range(vocabulary) if word != END]
    ended = [(*words, END) for count in range(length) for words in itertools.product(others, repeat=count)]
    return ended + list(itertools.product(others, repeat=length))


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_exhaustive_beam_search_is_brute_force(seed):
    vocabulary, length = 5, 3
    model = captioner(seed, vocab_size=vocabulary)
    candidates = every_caption(vocabulary, length)
    labels = torch.full((len(candidates), length), IGNORED)
    for row, words in zip(labels, candidates, strict=True):
        row[: len(words)] = torch.tensor(words)
    logits = model(encoder_outputs=(features(1).expand(len(labels), -1, -1),), labels=labels).logits
    scores = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    scores = scores.masked_fill(labels == IGNORED, 0).sum(1)
    order = scores.argsort(descending=True)

    output = model.generate(
        encoder_outputs=BaseModelOutput(features(1)),
        num_beams=vocabulary**length, num_return_sequences=len(candidates), max_new_tokens=length,
        length_penalty=0.0, early_stopping="never", output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    torch.testing.assert_close(output.sequences_scores, scores[order], rtol=1e-4, atol=1e-4)
    found = [tuple(row[1:].tolist()) for row in output.sequences]
    found = [row[: row.index(END) + 1] if END in row else row for row in found]  # padding follows the end
    assert found[0] == candidates[order[0]]
    assert sorted(found) == sorted(candidates)


def test_a_prompt_is_continued():
    model = captioner()
    prompt = torch.tensor([[START, 5, 6]] * 3)
    told = model.generate(pixel_values=pictures(), decoder_input_ids=prompt, max_new_tokens=4, do_sample=False)
    assert torch.equal(told[:, :3], prompt)
    expected = model(pixel_values=pictures(), decoder_input_ids=prompt).logits[:, -1].argmax(-1)
    assert torch.equal(told[:, 3], expected)


# Learning -----------------------------------------------------------------------------------------------------------


def test_four_pairs_are_learned_word_for_word_and_captions_follow_their_pictures():
    labels = torch.tensor([[4, 5, 6, END], [4, 7, END, IGNORED], [8, 9, 10, END], [11, 4, END, IGNORED]])
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 1, FEATURES, generator=generator)
    model = captioner(hidden_size=16)
    inputs = {"encoder_outputs": (rows,), "labels": labels}
    descend(model, inputs, lambda output: output.loss, steps=150, learning_rate=0.02)
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        told = model.generate(
            encoder_outputs=BaseModelOutput(rows[order]), max_new_tokens=6, do_sample=False,
        )  # fmt: skip
        expected = labels[order].masked_fill(labels[order] == IGNORED, PAD)
        assert torch.equal(told[:, 1:], expected)


# Parity with karpathy/neuraltalk ------------------------------------------------------------------------------------


def neuraltalk_arrays(bias):
    random = np.random.default_rng(0)
    sizes = {
        "We": (FEATURES, EMBEDDING), "be": (1, EMBEDDING), "Ws": (9, EMBEDDING),
        "WLSTM": (1 + EMBEDDING + HIDDEN, 4 * HIDDEN), "Wd": (HIDDEN, 9), "bd": (1, 9),
    }  # fmt: skip
    arrays = {name: random.normal(size=size) * 0.5 for name, size in sizes.items()}
    arrays["WLSTM"][0] *= bias
    return arrays


def neuraltalk_forward(arrays, feature, words, output_tanh):
    """neuraltalk's generator stated again: rows of WLSTM are bias, input, m; columns are i, f, o, g."""
    inputs = [feature @ arrays["We"] + arrays["be"][0], *(arrays["Ws"][word] for word in words)]
    m, c, told = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in inputs:
        gates = np.concatenate([[1.0], x, m]) @ arrays["WLSTM"]
        i, f, o = np.split(sigmoid(gates[: 3 * HIDDEN]), 3)
        c = i * np.tanh(gates[3 * HIDDEN :]) + f * c
        m = o * (np.tanh(c) if output_tanh else c)
        told.append(m @ arrays["Wd"] + arrays["bd"][0])
    return np.array(told[1:])


@pytest.mark.parametrize("bias", [0.0, 1.0])  # 0: the paper's form
@pytest.mark.parametrize("output_tanh", [False, True])
@torch.no_grad()
def test_parity_with_neuraltalk(bias, output_tanh, tmp_path):
    arrays, words = neuraltalk_arrays(bias), [0, 3, 8, 1]  # 0 starts captions
    np.savez(tmp_path / "checkpoint.npz", **arrays)
    model = convert_neuraltalk(tmp_path / "checkpoint.npz", SmallCnnConfig(hidden_sizes=[8, FEATURES]), output_tanh)
    ours = torch.tensor([[START, *(word + 3 for word in words[1:])]])
    found = model(encoder_outputs=(features(1),), decoder_input_ids=ours).logits[0].log_softmax(-1)
    theirs = torch.tensor(neuraltalk_forward(arrays, features(1)[0, 0].numpy(), words, output_tanh)).log_softmax(-1)
    torch.testing.assert_close(found[:, [END, *range(4, 12)]], theirs.float(), rtol=1e-4, atol=1e-4)
    assert (found[:, [0, START, PAD]] < -1000).all()


def test_other_arrays_are_refused():
    arrays = neuraltalk_arrays(0.0)
    del arrays["WLSTM"]
    with pytest.raises(ValueError, match="arrays WLSTM are missing"):
        convert_arrays(arrays, SmallCnnConfig(hidden_sizes=[8, FEATURES]))


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", We=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        convert_neuraltalk(tmp_path / "checkpoint.npz", SmallCnnConfig(hidden_sizes=[8, FEATURES]))


# Configuration ------------------------------------------------------------------------------------------------------


def test_any_transformers_backbone_serves():
    resnet = ResNetConfig(depths=[1, 1], hidden_sizes=[8, FEATURES], embedding_size=8, out_features=["stage2"])
    model = captioner(backbone_config=resnet)
    assert model(pixel_values=pictures(), labels=captions()).encoder_last_hidden_state.shape == (3, 1, FEATURES)


def test_a_flattened_map_keeps_places_apart():
    flipped = pictures().flip(3)
    pooled = captioner()
    flat = captioner(feature_pooling="flatten", image_feature_size=FEATURES * 16)
    rows = flat.get_encoder()(pictures()).last_hidden_state
    feature_map = flat.get_encoder().backbone(pictures()).feature_maps[-1]
    assert torch.equal(rows[:, 0], feature_map.flatten(1))
    torch.testing.assert_close(pooled.get_encoder()(pictures()).last_hidden_state[:, 0], feature_map.mean((2, 3)))
    assert not torch.allclose(rows, flat.get_encoder()(flipped).last_hidden_state)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_feature_size": 99}, "image_feature_size is 99 but .* 'stage1' has 16 channels"),
        ({"vocab_size": 3}, "pad_token_id is 3 but vocab_size is 3"),
        ({"feature_pooling": "max"}, "feature_pooling"),
    ],
)
def test_fields_that_disagree_are_named(fields, message):
    with pytest.raises(Exception, match=message):
        captioner(**fields)


def test_pictures_of_another_size_are_refused_where_maps_are_flattened():
    model = captioner(feature_pooling="flatten", image_feature_size=FEATURES * 16)
    with pytest.raises(ValueError, match="pictures of 32 x 32 pixels give 1024 features but image_feature_size is 256"):
        model(pixel_values=torch.zeros(1, 3, 32, 32), labels=captions()[:1])
