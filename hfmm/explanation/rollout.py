"""Attention rollout (Abnar and Zuidema, ACL 2020, arXiv 2005.00928): what of the picture reaches the class token.

Axes: B batch, H heads, T tokens, N patches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor

_SWITCH = Lock()  # threads of an app share a model


def attention_rollout(attentions: Sequence[Tensor]) -> Tensor:
    """How much of each input token is in each output token, attention taken for flow along the layers.

    Args:
        attentions: (B, H, T, T) of each layer from the first; rows, the tokens that look, sum to 1.

    Returns:
        (B, T, T), whose rows sum to 1: A_L ... A_1, each the mean over heads, half of it and half identity for the
        residual connection, its rows normalized.
    """
    identity = torch.eye(attentions[0].shape[-1], device=attentions[0].device)  # T T
    flow = identity.expand(len(attentions[0]), -1, -1)  # B T T
    for attention in attentions:
        mixed = (attention.float().mean(1) + identity) / 2  # B T T
        flow = mixed / mixed.sum(-1, keepdim=True) @ flow
    return flow


def input_attention(model: Any, pixel_values: Tensor) -> Tensor | None:
    """Where a Vision Transformer looked: the class token's row of the rollout over all layers.

    Args:
        model: Whose attentions are over a class token, perhaps other tokens, and then all patches: ViT, DeiT, the
            picture tower of CLIP. Its configuration says so by `num_attention_heads` and `patch_size`.
        pixel_values: (B, C, H, W).

    Returns:
        (B, H / patch_size, W / patch_size), or None for another kind of model: one without attention, with windows, or
        without a class token.
    """
    heads, patch = (getattr(model.config, name, None) for name in ("num_attention_heads", "patch_size"))
    if not isinstance(heads, int) or not patch:
        return None
    tall, wide = patch if isinstance(patch, list | tuple) else (patch, patch)
    height, width = pixel_values.shape[2] // tall, pixel_values.shape[3] // wide
    with torch.inference_mode(), eager(model):
        attentions = model(pixel_values=pixel_values, output_attentions=True).get("attentions")
    if not attentions or any(_is_other(attention, len(pixel_values), height * width) for attention in attentions):
        return None
    row = attention_rollout(attentions)[:, 0, -height * width :]  # B N, of the class token
    return row.unflatten(1, (height, width))  # B h w


def _is_other(attention: Tensor, batch: int, patches: int) -> bool:
    """Whether this is not the attention of special tokens and all patches among each other."""
    return attention.ndim != 4 or len(attention) != batch or not attention.shape[2] == attention.shape[3] > patches


@contextmanager
def eager(model: Any) -> Iterator[None]:
    """Attention that is computed step by step meanwhile, since fused kernels return no weights."""
    with _SWITCH:
        before = model.config._attn_implementation
        model.set_attn_implementation("eager")
        try:
            yield
        finally:
            model.set_attn_implementation(before)
