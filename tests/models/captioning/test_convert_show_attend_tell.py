"""Show, Attend and Tell: weights of the authors' code, against its equations in numpy."""

import numpy as np
import pytest
import torch

from hfmm.models.captioning.show_attend_tell.convert_show_attend_tell import convert_arctic, convert_arrays
from tests.models.captioning.tiny_show_attend_tell import DEPTH, END, PAD, START, UNKNOWN, annotations, backbone


def arctic_arrays(layers, selector):
    random = np.random.default_rng(0)
    words, embedding, width = 9, 5, 6
    shapes = {
        "Wemb": (words, embedding),
        "ff_state_W": (DEPTH, width), "ff_state_b": (width,), "ff_memory_W": (DEPTH, width), "ff_memory_b": (width,),
        "decoder_W": (embedding, 4 * width), "decoder_U": (width, 4 * width), "decoder_b": (4 * width,),
        "decoder_Wc": (DEPTH, 4 * width), "decoder_Wc_att": (DEPTH, DEPTH), "decoder_b_att": (DEPTH,),
        "decoder_Wd_att": (width, DEPTH), "decoder_U_att": (DEPTH, 1), "decoder_c_tt": (1,),
        "ff_logit_lstm_W": (width, embedding), "ff_logit_lstm_b": (embedding,),
        "ff_logit_ctx_W": (DEPTH, embedding), "ff_logit_ctx_b": (embedding,),
        "ff_logit_W": (embedding, words), "ff_logit_b": (words,),
    }  # fmt: skip
    if layers == 2:
        shapes |= {"ff_init_1_W": (DEPTH, DEPTH), "ff_init_1_b": (DEPTH,)}
        shapes |= {"decoder_W_att_1": (DEPTH, DEPTH), "decoder_b_att_1": (DEPTH,)}
    if selector:
        shapes |= {"decoder_W_sel": (width, 1), "decoder_b_sel": ()}
    return {name: (0.5 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def arctic_logits(arrays, seen, words, keep):
    """The authors' graph at test time, for one picture, in numpy; `keep` is 0.5 where it trained with dropout."""

    def affine(x, name):
        return x @ arrays[f"{name}_W"] + arrays[f"{name}_b"]

    mean = seen.mean(0)
    if "ff_init_1_W" in arrays:
        mean = keep * np.maximum(affine(mean, "ff_init_1"), 0)
    h, c = np.tanh(affine(mean, "ff_state")), np.tanh(affine(mean, "ff_memory"))
    projected = seen @ arrays["decoder_Wc_att"] + arrays["decoder_b_att"]
    if "decoder_W_att_1" in arrays:
        projected = np.tanh(projected @ arrays["decoder_W_att_1"] + arrays["decoder_b_att_1"])
    logits = []
    for word in (None, *words[:-1]):
        embedded = np.zeros(arrays["Wemb"].shape[1]) if word is None else arrays["Wemb"][word]
        meeting = np.tanh(projected + h @ arrays["decoder_Wd_att"])
        energies = (meeting @ arrays["decoder_U_att"] + arrays["decoder_c_tt"])[:, 0]
        alpha = np.exp(energies - energies.max())
        context = alpha / alpha.sum() @ seen
        if "decoder_W_sel" in arrays:
            context = sigmoid(h @ arrays["decoder_W_sel"] + arrays["decoder_b_sel"]) * context
        gates = h @ arrays["decoder_U"] + affine(embedded, "decoder") + context @ arrays["decoder_Wc"]
        i, f, o, g = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        deep = np.tanh(affine(keep * h, "ff_logit_lstm") + embedded + affine(context, "ff_logit_ctx"))
        logits.append(affine(keep * deep, "ff_logit"))
    return torch.tensor(np.array(logits)).float()


@pytest.mark.parametrize("trained_with_dropout", [False, True])
@pytest.mark.parametrize(("layers", "selector"), [(2, True), (1, False)])
@torch.no_grad()
def test_converted_weights_give_the_logits_of_the_authors_code(tmp_path, layers, selector, trained_with_dropout):
    arrays = arctic_arrays(layers, selector)
    np.savez(tmp_path / "model.npz", **arrays)
    model = convert_arctic(tmp_path / "model.npz", backbone(), trained_with_dropout=trained_with_dropout)
    seen, theirs = annotations(1), [4, 1, 7, 2, 0]
    ours = [END if word == 0 else UNKNOWN if word == 1 else word + 2 for word in theirs]
    logits = model(encoder_outputs=(seen,), labels=torch.tensor([ours])).logits[0]
    expected = arctic_logits(arrays, seen[0].numpy(), theirs, keep=0.5 if trained_with_dropout else 1.0)
    same_words = [END, UNKNOWN, *range(4, 11)]
    torch.testing.assert_close(logits[:, same_words], expected, rtol=1e-4, atol=1e-5)
    assert (logits[:, [START, PAD]] < -1000).all()


def test_arrays_without_a_place_are_refused():
    arrays = arctic_arrays(1, True)
    with pytest.raises(ValueError, match="parts that are not in the paper: arrays encoder_W"):
        convert_arrays({**arrays, "encoder_W": arrays["decoder_W"]}, backbone())
    arrays.pop("ff_logit_ctx_W")
    with pytest.raises(ValueError, match="arrays ff_logit_ctx_W are missing"):
        convert_arrays(arrays, backbone())


def test_every_weight_of_the_decoder_is_converted():
    arrays = arctic_arrays(2, True)
    model = convert_arrays(arrays, backbone())
    ours = sum(value.numel() for name, value in model.named_parameters() if "encoder" not in name)
    two_words_more = 2 * (2 * arrays["Wemb"].shape[1] + 1)
    assert ours == sum(array.size for array in arrays.values()) + two_words_more
    assert torch.equal(model.model.decoder.recurrence.energy_bias, torch.from_numpy(arrays["decoder_c_tt"]))
