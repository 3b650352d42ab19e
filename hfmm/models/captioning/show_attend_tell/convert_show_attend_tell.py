"""Weights of kelvinxu/arctic-captions, the authors' code, to ours.

The original is an `.npz` of arrays beside a pickle of options, which is not read: what it says shows in the arrays, but
for dropout. The picture net is no part of a checkpoint: its 14 x 14 x 512 map enters the converted captioner as
`encoder_outputs`, or a backbone with as many channels makes it.

| arctic-captions | here |
|---|---|
| Wemb (V, M) | `embed_tokens` |
| ff_init_1, ff_state, ff_memory | `initial_layer`, `initial_hidden`, `initial_cell` |
| decoder_Wc_att, _b_att; decoder_W_att_1, _b_att_1 | `annotation_projection`; `annotation_layer` |
| decoder_W, _b | `word_gates` |
| decoder_U, _Wd_att, _W_sel | `recurrence.hidden_weight`, one below the other |
| decoder_Wc; decoder_U_att, _c_tt; decoder_b_sel | `recurrence.context_weight`; `energy_...`; `selector_bias` |
| ff_logit_lstm, ff_logit_ctx, ff_logit | `hidden_output`, `context_output`, `lm_head` |

Their word 0 is the end, 1 the unknown word; word n > 1 becomes n + 2, after the four special words of hfmm.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig

from .configuration_show_attend_tell import ShowAttendTellConfig
from .modeling_show_attend_tell import ShowAttendTellForConditionalGeneration

REQUIRED = frozenset(
    {"Wemb", "ff_state_W", "ff_state_b", "ff_memory_W", "ff_memory_b", "decoder_W", "decoder_U", "decoder_b"}
    | {"decoder_Wc", "decoder_Wc_att", "decoder_Wd_att", "decoder_b_att", "decoder_U_att", "decoder_c_tt"}
    | {"ff_logit_lstm_W", "ff_logit_lstm_b", "ff_logit_ctx_W", "ff_logit_ctx_b", "ff_logit_W", "ff_logit_b"}
)
OPTIONAL = frozenset(
    {"ff_init_1_W", "ff_init_1_b", "decoder_W_att_1", "decoder_b_att_1", "decoder_W_sel", "decoder_b_sel"}
)
NUM_SHIFTED = 2  # hfmm has four special words, arctic-captions two
THEIR_END, THEIR_UNKNOWN, OUR_UNKNOWN = 0, 1, 0
NEVER = -1e4  # score of the words that arctic-captions cannot say: <start>, <pad>


def convert_arrays(
    arrays: Mapping[str, np.ndarray],
    backbone_config: PreTrainedConfig,
    attention_type: Literal["soft", "hard"] = "soft",
    trained_with_dropout: bool = False,
) -> ShowAttendTellForConditionalGeneration:
    """Build the captioner that the arrays belong to; its backbone keeps random weights.

    Args:
        arrays: The arrays of a checkpoint with one LSTM layer that was trained with `prev2out` and `ctx2out`.
        backbone_config: A net whose last map is what the checkpoint was trained on.
        attention_type: "soft" for the checkpoint's `attn_type` "deterministic", "hard" for "stochastic".
        trained_with_dropout: The checkpoint's `use_dropout`. The code halves activations at test where we double those
            that are kept in training, so the weights that follow are halved.

    Raises:
        ValueError: An array is missing, or there is one that has no place here.
    """
    missing, surplus = sorted(REQUIRED - set(arrays)), sorted(set(arrays) - REQUIRED - OPTIONAL)
    if missing:
        raise ValueError(f"not an arctic-captions checkpoint with deep output: arrays {', '.join(missing)} are missing")
    if surplus:
        raise ValueError(f"this checkpoint has parts that are not in the paper: arrays {', '.join(surplus)}")
    values = {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in arrays.items()}
    if trained_with_dropout:
        after_dropout = ["ff_logit_lstm_W", "ff_logit_W"]
        after_dropout += ["ff_state_W", "ff_memory_W"] if "ff_init_1_W" in values else []
        values |= {name: values[name] / 2 for name in after_dropout}
    words, embedding_size = values["Wemb"].shape
    annotation_size, attention_size = values["decoder_Wc_att"].shape
    config = ShowAttendTellConfig(
        backbone_config=backbone_config,
        vocab_size=words + NUM_SHIFTED,
        embedding_size=embedding_size,
        hidden_size=len(values["decoder_U"]),
        annotation_size=annotation_size,
        attention_size=attention_size,
        attention_type=attention_type,
        attention_layers=2 if "decoder_W_att_1" in values else 1,
        init_layers=2 if "ff_init_1_W" in values else 1,
        use_selector="decoder_W_sel" in values,
        deep_output_activation="tanh",
        dropout=0.5 if trained_with_dropout else 0.0,
        hard_decoding="expected",
    )
    model = ShowAttendTellForConditionalGeneration(config).eval()
    model.load_state_dict(_our_names(values, config), strict=False)  # all but the backbone
    return model


def _our_words(theirs: Tensor, config: ShowAttendTellConfig, rest: float) -> Tensor:
    """Rows by their words to rows by our words; `rest` for the words they do not have."""
    ours = torch.full((config.vocab_size, *theirs.shape[1:]), rest)
    ours[OUR_UNKNOWN] = theirs[THEIR_UNKNOWN]
    ours[config.eos_token_id] = theirs[THEIR_END]
    ours[NUM_SHIFTED + 2 :] = theirs[2:]
    return ours


def _our_names(values: Mapping[str, Tensor], config: ShowAttendTellConfig) -> dict[str, Tensor]:
    linears = {
        "initial_hidden": ("ff_state_W", "ff_state_b"),
        "initial_cell": ("ff_memory_W", "ff_memory_b"),
        "annotation_projection": ("decoder_Wc_att", "decoder_b_att"),
        "word_gates": ("decoder_W", "decoder_b"),
        "hidden_output": ("ff_logit_lstm_W", "ff_logit_lstm_b"),
        "context_output": ("ff_logit_ctx_W", "ff_logit_ctx_b"),
    }
    if config.init_layers == 2:
        linears["initial_layer"] = ("ff_init_1_W", "ff_init_1_b")
    if config.attention_layers == 2:
        linears["annotation_layer"] = ("decoder_W_att_1", "decoder_b_att_1")
    meets_hidden = [values["decoder_U"], values["decoder_Wd_att"]]
    recurrence = {
        "context_weight": values["decoder_Wc"].T,
        "energy_weight": values["decoder_U_att"].flatten(),
        "energy_bias": values["decoder_c_tt"].flatten(),
    }
    if config.use_selector:
        meets_hidden.append(values["decoder_W_sel"])
        recurrence["selector_bias"] = values["decoder_b_sel"].flatten()
    recurrence["hidden_weight"] = torch.cat(meets_hidden, 1).T
    decoder = {f"{name}.weight": values[weight].T for name, (weight, _) in linears.items()}
    decoder |= {f"{name}.bias": values[bias] for name, (_, bias) in linears.items()}
    decoder |= {f"recurrence.{name}": value for name, value in recurrence.items()}
    return {f"model.decoder.{name}": value for name, value in decoder.items()} | {
        "model.embed_tokens.weight": _our_words(values["Wemb"], config, rest=0.0),  # their first input is zero, too
        "lm_head.weight": _our_words(values["ff_logit_W"].T, config, rest=0.0),
        "lm_head.bias": _our_words(values["ff_logit_b"], config, rest=NEVER),
    }


def convert_arctic(
    path: Path,
    backbone_config: PreTrainedConfig,
    attention_type: Literal["soft", "hard"] = "soft",
    trained_with_dropout: bool = False,
) -> ShowAttendTellForConditionalGeneration:
    """Read an `.npz` of arctic-captions (one with pickled objects is refused); see `convert_arrays`."""
    with np.load(path, allow_pickle=False) as arrays:
        return convert_arrays(dict(arrays), backbone_config, attention_type, trained_with_dropout)
