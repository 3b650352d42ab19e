"""Rows of tokens without their padding: one long row for all that looks at a token alone, padded rows to attend in.

What follows a text cannot be seen from it, so right-padded rows need no mask but the causal one, and the long row is
put into such rows for the attention only. Losses and gradients are those of padded batches.

Axes: B texts, T their longest, N tokens of all, H heads, D width of a head.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hfmm.device import LONGEST_EAGER

ATTENTION = "hfmm_packed"


class Packing(NamedTuple):
    """Where tokens of a long row stand in padded rows.

    Attributes:
        places: (N,), in B rows of T, laid end to end.
        rows: B.
        longest: T.
    """

    places: Tensor
    rows: int
    longest: int


def pack(inputs: Mapping[str, Any], wanted: Tensor) -> tuple[dict[str, Any], Tensor]:
    """Take the padding out of a batch.

    Args:
        inputs: `input_ids` and `attention_mask`, both (B, T), padded on the right, and what goes with them.
        wanted: (B, T), by place.

    Returns:
        The inputs with `input_ids` (1, N), `position_ids` (1, N) and `packing`, without `attention_mask`; and what is
        wanted, (1, N).
    """
    is_token = inputs["attention_mask"].bool()  # B T
    rows, longest = is_token.shape
    places = is_token.flatten().nonzero()[:, 0]  # N
    given = {name: value for name, value in inputs.items() if name != "attention_mask"}
    given["input_ids"] = inputs["input_ids"].flatten()[places][None]  # 1 N
    given["position_ids"] = (places % longest)[None]  # 1 N
    given["packing"] = Packing(places, rows, longest)
    return given, wanted.flatten()[places][None]  # 1 N


@contextmanager
def packed_attention(config: PreTrainedConfig) -> Iterator[None]:
    """Let a language model attend in packed rows meanwhile.

    Args:
        config: The language model's own.
    """
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def attend_packed(  # noqa: PLR0913  the signature is that of upstream's attention functions
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    packing: Packing,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each text to itself.

    Args:
        module: The attention layer.
        query: (1, H, N, D).
        key: (1, heads of keys, N, D).
        value: As the keys.
        attention_mask: None.
        scaling: Of products of queries and keys.
        packing: Where the texts are.
        dropout: Share of weights to drop.
        kwargs: Not used.

    Returns:
        (1, N, H, D), and no weights.
    """
    padded = [_unpack(states, packing, query.shape[1] // states.shape[1]) for states in (query, key, value)]  # B H T D
    mixed = _attend(*padded, scaling, dropout)  # B H T D
    return mixed.transpose(1, 2).flatten(0, 1)[packing.places][None], None  # 1 N H D


def _unpack(states: Tensor, packing: Packing, copies: int) -> Tensor:
    """Into padded rows, each head as often as queries share it. (1, heads, N, D) -> (B, H, T, D)."""
    tokens = states[0].transpose(0, 1)  # N heads D
    rows = tokens.new_zeros(packing.rows * packing.longest, *tokens.shape[1:])  # B*T heads D
    rows = rows.index_copy(0, packing.places, tokens).unflatten(0, (packing.rows, packing.longest))  # B T heads D
    return rows.transpose(1, 2).repeat_interleave(copies, dim=1) if copies > 1 else rows.transpose(1, 2)  # B H T D


def _attend(query: Tensor, key: Tensor, value: Tensor, scaling: float, dropout: float) -> Tensor:
    """Causal attention, by plain products where they are faster. (B, H, T, D) -> (B, H, T, D)."""
    length = query.shape[2]
    if query.device.type != "cpu" or length > LONGEST_EAGER:
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, dropout_p=dropout
        )
    is_later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)  # T T
    scores = (query * scaling) @ key.transpose(2, 3)  # B H T T
    weights = scores.masked_fill(is_later, float("-inf")).softmax(-1, torch.float32).to(query.dtype)  # B H T T
    return functional.dropout(weights, dropout) @ value  # B H T D


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend_packed)
