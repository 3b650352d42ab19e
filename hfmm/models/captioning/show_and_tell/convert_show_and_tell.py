"""Weights of karpathy/neuraltalk's LSTM generator to ours.

The original is a Python 2 pickle, which would run code: save its arrays with `numpy.savez(file, **checkpoint["model"])`
where the pickle is trusted, and convert the `.npz`. The picture net is no part of a checkpoint: its features (fc7 of
VGG-16, F = 4,096) enter the converted captioner as `encoder_outputs`, or a backbone with as many channels makes them.

| neuraltalk | here |
|---|---|
| We (F, E), be (1, E) | `image_projection` |
| Ws (V, E); row 0 is the start word | `embed_tokens` |
| WLSTM (1 + E + D, 4D): bias row, words, m; gates i, f, o, g | `lstm`; gates i, f, g, o |
| Wd (D, V), bd (1, V); column 0 is the end word | `lm_head` |

Word n > 0 becomes n + 3, after the four special words of hfmm.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig

from .configuration_show_and_tell import ShowAndTellConfig
from .modeling_show_and_tell import ShowAndTellForConditionalGeneration

ARRAYS = frozenset({"We", "be", "Ws", "WLSTM", "Wd", "bd"})
NUM_SHIFTED = 3  # hfmm has four special words, neuraltalk one
NEVER = -1e4  # score of the words that neuraltalk cannot say: <unk>, <start>, <pad>


def convert_arrays(
    arrays: Mapping[str, np.ndarray], backbone_config: PreTrainedConfig, output_tanh: bool = False
) -> ShowAndTellForConditionalGeneration:
    """Build the captioner that neuraltalk arrays belong to; its backbone keeps random weights.

    Args:
        arrays: The six arrays of a neuraltalk checkpoint.
        backbone_config: A net whose pooled features are those the checkpoint was trained on.
        output_tanh: The checkpoint's `tanhC_version`.

    Raises:
        ValueError: An array is missing.
    """
    missing = sorted(ARRAYS - set(arrays))
    if missing:
        raise ValueError(f"not a neuraltalk LSTM checkpoint: arrays {', '.join(missing)} are missing")
    values = {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in ARRAYS}
    feature_size, embedding_size = values["We"].shape
    hidden_size, num_words = values["Wd"].shape
    config = ShowAndTellConfig(
        backbone_config=backbone_config,
        vocab_size=num_words + NUM_SHIFTED,
        hidden_size=hidden_size,
        embedding_size=embedding_size,
        image_feature_size=feature_size,
        lstm_bias=True,
        lstm_output_tanh=output_tanh,
        dropout=0.0,
    )
    model = ShowAndTellForConditionalGeneration(config).eval()
    model.load_state_dict(_our_names(values, config), strict=False)  # all but the backbone
    return model


def _our_names(values: Mapping[str, Tensor], config: ShowAndTellConfig) -> dict[str, Tensor]:
    input_gate, forget_gate, output_gate, candidate = values["WLSTM"].chunk(4, 1)
    gates = torch.cat([input_gate, forget_gate, candidate, output_gate], 1).t()  # 4D 1+E+D
    bias, of_words, of_memory = gates.split([1, config.embedding_size, config.hidden_size], 1)
    embeddings = torch.zeros(config.vocab_size, config.embedding_size)
    projection = torch.zeros(config.vocab_size, config.hidden_size)
    projection_bias = torch.full((config.vocab_size,), NEVER)
    embeddings[config.bos_token_id] = values["Ws"][0]
    embeddings[NUM_SHIFTED + 1 :] = values["Ws"][1:]
    for ours, theirs in ((projection, values["Wd"].t()), (projection_bias, values["bd"][0])):
        ours[config.eos_token_id] = theirs[0]
        ours[NUM_SHIFTED + 1 :] = theirs[1:]
    return {
        "model.image_projection.weight": values["We"].t(),
        "model.image_projection.bias": values["be"][0],
        "model.embed_tokens.weight": embeddings,
        "model.lstm.input_gates.weight": of_words,
        "model.lstm.input_gates.bias": bias.flatten(),
        "model.lstm.recurrent_weight": of_memory,
        "lm_head.weight": projection,
        "lm_head.bias": projection_bias,
    }


def convert_neuraltalk(
    path: Path, backbone_config: PreTrainedConfig, output_tanh: bool = False
) -> ShowAndTellForConditionalGeneration:
    """Read an `.npz` of neuraltalk arrays (a pickled one is refused); see `convert_arrays`."""
    with np.load(path, allow_pickle=False) as arrays:
        return convert_arrays(dict(arrays), backbone_config, output_tanh)
