"""Models that embed pictures and texts, each by a tower, as upstream's CLIPModel does: how they are asked.

Axes: B batch, D width.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from hfmm.errors import UsageError

UNLIMITED = 10**9  # and more is what tokenizers call a length that has no limit


@runtime_checkable
class EmbedsTexts(Protocol):
    """A model whose two towers meet in one space, as upstream's CLIPModel."""

    def get_image_features(self, pixel_values: Tensor) -> Any:
        """(B, C, H, W) to an output whose `pooler_output` is (B, D)."""

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """(B, L), (B, L) to an output whose `pooler_output` is (B, D)."""


@torch.inference_mode()
def embed_pictures(model: Any, processor: Any, pictures: Sequence[Image.Image]) -> Tensor:
    """Embed a batch of pictures. B of them -> (B, D), on the CPU, in fp32, of any length."""
    pixel_values = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    found = model.get_image_features(pixel_values=pixel_values.to(model.device, model.dtype))
    return found.pooler_output.float().cpu()  # type: ignore[no-any-return]


@torch.inference_mode()
def embed_texts(model: Any, processor: Any, texts: Sequence[str], cut: bool = False) -> Tensor:
    """Embed a batch of texts. B of them -> (B, D), on the CPU, in fp32, of any length.

    Args:
        model: On its device.
        processor: Its processor.
        texts: One or more.
        cut: Cut what is longer than the model takes, as training does.

    Raises:
        UsageError: A text is longer than the model takes.
    """
    limit = longest_text(model, processor)
    # a saved tokenizer remembers that training cut texts: without a length it is quiet about cutting none
    inputs = processor(text=list(texts), padding=True, truncation=False, max_length=None, return_tensors="pt")
    if limit is not None and inputs["input_ids"].shape[1] > limit:
        if not cut:
            lengths = inputs["attention_mask"].sum(1)  # B
            longest = texts[int(lengths.argmax())]
            raise UsageError(
                f"'{longest:.40}...' has {int(lengths.max())} tokens, and the model takes {limit}: shorten the text"
            )
        inputs = processor(text=list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
    ids, mask = (inputs[name].to(model.device) for name in ("input_ids", "attention_mask"))
    found = model.get_text_features(input_ids=ids, attention_mask=mask)
    return found.pooler_output.float().cpu()  # type: ignore[no-any-return]


def longest_text(model: Any, processor: Any) -> int | None:
    """How many tokens of a text a model takes, None without a limit."""
    told = model.config.get_text_config().to_dict().get("max_position_embeddings")
    known = [told] if told else []
    if processor.tokenizer.model_max_length < UNLIMITED:
        known.append(processor.tokenizer.model_max_length)
    return min(known, default=None)
