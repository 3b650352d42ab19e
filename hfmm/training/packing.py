"""Rows of tokens without their padding: one long row for all that looks at a token alone, short rows to attend in.

What follows a text cannot be seen from it, so rows padded on the right need no mask but the causal one. For attention
alone the texts stand in such rows, those of like length together. Losses and gradients are those of padded batches.

Axes: B texts, T their longest, N tokens of all, rounded, b texts of like length, t the longest of these, rounded, H
heads, D width of a head.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from hfmm.data.dialogues import IGNORED
from hfmm.device import longest_eager

ATTENTION = "hfmm_packed"
LIKE = 64  # tokens by which texts of like length may differ
LONGEST_EAGER_BF16 = 512  # positions up to which plain products beat the fused kernel's backward pass on CPUs in bf16


class Packing(NamedTuple):
    """Where the tokens of a long row stand in short ones.

    Attributes:
        grids: Of texts of like length, each (b, t): the token at a place; behind a text's end, any.
        back: (N,), of each token its place in the grids, laid end to end.
    """

    grids: tuple[Tensor, ...]
    back: Tensor


def can_pack(config: PreTrainedConfig, inputs: Mapping[str, Any]) -> bool:
    """Whether packed rows are what padded ones are to a language model.

    They are not where more is known of a token than its place, where places have several axes, as those of patches
    may have, and where attention does not reach back to the start or is squashed.

    Args:
        config: The language model's own.
        inputs: Of a batch.
    """
    if any(name.endswith("token_type_ids") for name in inputs):
        return False
    values = config.to_dict()
    of_places = values.get("rope_parameters") or {}
    limited = values.get("sliding_window") or values.get("attn_logit_softcapping") or "mrope_section" in of_places
    return not limited and {*(values.get("layer_types") or ["full_attention"])} == {"full_attention"}


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
    places = is_token.flatten().nonzero()[:, 0]  # N, before it is rounded
    spare = places[-1:].expand(rounded(len(places)) - len(places))
    places = torch.cat([places, spare])  # N
    given = {name: value for name, value in inputs.items() if name != "attention_mask"}
    given["input_ids"] = inputs["input_ids"].flatten()[places][None]  # 1 N
    given["position_ids"] = (places % is_token.shape[1])[None]  # 1 N
    given["packing"] = _packing(is_token.sum(1).tolist(), len(places), places.device)
    wanted = wanted.flatten()[places]  # N
    wanted[len(wanted) - len(spare) :] = IGNORED
    return given, wanted[None]


def rounded(count: int) -> int:
    """The next number that six bits and zeros write: few different ones, at most a thirty-second larger.

    Libraries of matrix products prepare, and keep, something for each size that they meet.
    """
    unit = 1 << max(0, count.bit_length() - 6)
    return -(-count // unit) * unit


def _packing(lengths: list[int], total: int, device: torch.device) -> Packing:
    """Short rows for texts of these lengths, which stand one after another, with spare tokens up to `total` behind."""
    starts = [sum(lengths[:row]) for row in range(len(lengths))]
    alike: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        alike[length // LIKE].append(row)
    grids: list[Tensor] = []
    back = torch.zeros(total, dtype=torch.long)  # of spare tokens, any
    before = 0
    for rows in alike.values():
        longest = rounded(max(lengths[row] for row in rows))
        grid = torch.tensor([starts[row] for row in rows])[:, None] + torch.arange(longest)  # b t
        for number, row in enumerate(rows):
            first = before + number * longest
            back[starts[row] : starts[row] + lengths[row]] = torch.arange(first, first + lengths[row])
        grids.append(grid.clamp(max=total - 1).to(device))
        before += grid.numel()
    return Packing(tuple(grids), back.to(device))


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


def attend_packed(
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
    copies = query.shape[1] // key.shape[1]  # turned by sines in fp32, queries and keys are wider than values in bf16
    tokens = [states[0].transpose(0, 1).to(value.dtype) for states in (query, key, value)]  # N heads D
    mixed = []
    for grid in packing.grids:
        rows = [states.index_select(0, grid.flatten()).unflatten(0, grid.shape) for states in tokens]  # b t heads D
        asks, offers, values = (states.transpose(1, 2) for states in rows)  # b heads t D
        if copies > 1:
            offers, values = (states.repeat_interleave(copies, dim=1) for states in (offers, values))  # b H t D
        mixed.append(_attend(asks, offers, values, scaling, dropout).transpose(1, 2).flatten(0, 1))  # b*t H D
    return torch.cat(mixed).index_select(0, packing.back)[None], None  # 1 N H D


def _attend(query: Tensor, key: Tensor, value: Tensor, scaling: float, dropout: float) -> Tensor:
    """Causal attention, by plain products where they are faster. (b, H, t, D) -> (b, H, t, D)."""
    length = query.shape[2]
    most = LONGEST_EAGER_BF16 if query.dtype == torch.bfloat16 else longest_eager()
    if query.device.type != "cpu" or length > most:
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, dropout_p=dropout
        )
    is_later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)  # t t
    scores = (query * scaling) @ key.transpose(2, 3)  # b H t t
    weights = scores.masked_fill(is_later, float("-inf")).softmax(-1, torch.float32).to(query.dtype)  # b H t t
    return functional.dropout(weights, dropout) @ value  # b H t D


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend_packed)
