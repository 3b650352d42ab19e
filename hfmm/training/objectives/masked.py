"""Pre-training on pairs: words and regions that were masked, and whether picture and text belong together."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from hfmm.errors import UsageError
from hfmm.nn.masking import OVERLAP, mask_regions, mask_words
from hfmm.training.objectives.base import Objective, StepContext, Turn

UNALIGNED = 0.5  # of the pairs get another pair's text


class Detects(Protocol):
    """A model that may look at pictures through a detector."""

    def detect(self, pixel_values: Tensor) -> dict[str, Tensor]:
        """Regions as its `forward` takes them, with the detector's classes, `region_targets`; nothing without one."""


class MaskedMultimodal(Objective):
    """Masked words, masked regions and alignment, weighted alike; the model's `forward` holds the losses.

    Half of the pairs get the text of another; of these, nothing but the misalignment is learned. Regions are masked
    where a detector tells their classes, with `overlap` those beside them, too (None for these alone).
    """

    head = "AutoModelForPreTraining"
    defaults = {"overlap": OVERLAP}

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Note which words may be masked, and by what.

        Raises:
            UsageError: The tokenizer has no mask.
        """
        tokenizer = processor.tokenizer
        if tokenizer.mask_token_id is None:
            raise UsageError("the tokenizer has no mask: masked_multimodal needs one")
        self.special, self.mask, self.num_words = tokenizer.all_special_ids, tokenizer.mask_token_id, len(tokenizer)

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pairs."""
        given = self._swapped({name: value for name, value in batch.items() if name != "example_ids"})
        aligned = given["alignment_labels"] == 0  # B
        ids = given["input_ids"]
        maskable = ~torch.isin(ids, torch.tensor(self.special, device=ids.device)) & aligned[:, None]  # B L
        given["input_ids"], given["labels"] = mask_words(ids, maskable, self.mask, self.num_words)
        own: Any = context.unwrap(self.players["model"])
        regions = own.detect(given["pixel_values"])
        if regions:
            given |= self._masked(regions, aligned)
            del given["pixel_values"]
        output = self.players["model"](**given)
        pairs = torch.tensor(len(ids), device=ids.device)
        right = (output.alignment_logits.detach().argmax(-1) == given["alignment_labels"]).sum()
        log = {name: part.detach() * pairs for name, part in output.losses.items()} | {"top_1": right}
        yield Turn("model", output.loss * pairs, pairs, log)

    @staticmethod
    def _swapped(given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Half of the pairs with the text of another; `alignment_labels` (B,) are 1 where it is another text."""
        ids = given["input_ids"]
        count = len(ids)
        other = (torch.arange(count) + torch.randint(1, max(2, count), (count,))) % count
        rows = torch.where(torch.rand(count) < UNALIGNED, other, torch.arange(count)).to(ids.device)
        unaligned = (ids[rows] != ids).any(1).long()  # B
        words = {name: given[name][rows] for name in ("input_ids", "attention_mask")}
        return given | words | {"alignment_labels": unaligned}

    def _masked(self, regions: Mapping[str, Tensor], aligned: Tensor) -> dict[str, Tensor]:
        """Regions, and which of them are to be predicted and which are hidden."""
        is_region = (regions["visual_attention_mask"] == 1) & aligned[:, None]  # B N
        boxes = regions["visual_locations"][..., :4]
        asked, hidden = mask_regions(boxes, is_region, self.settings["overlap"])
        return {**regions, "masked_regions": asked, "hidden_regions": hidden}
