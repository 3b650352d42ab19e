"""Batches of pictures and what is said of them, for models that compare the two."""

from collections.abc import Sequence
from typing import Any

from hfmm.data.collate import CaptionCollator
from hfmm.data.examples import Example
from hfmm.errors import UsageError


class PairCollator(CaptionCollator):
    """Chooses a caption of each picture, and lets the processor make tensors of the pairs."""

    def __init__(self, processor: Any, captions: str = "first") -> None:
        """Take a processor of pictures and words.

        Args:
            processor: Called with `images`, `text`, `padding`, `truncation` and `return_tensors`.
            captions: Which of an example's captions to learn: the `first`, or a `random` one at each visit.

        Raises:
            UsageError: All captions are asked for.
        """
        super().__init__(processor, captions)
        if captions == "all":
            raise UsageError("data.captions is 'all', but captions of one picture are no pairs to tell apart: 'random'")

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch; row i of the pictures belongs to row i of the words.

        Returns:
            What the processor makes, `pixel_values` (B, 3, height, width), `input_ids` and `attention_mask` (B, T), and
            `example_ids` (B strings).
        """
        batch = self.processor(
            images=[example["image"] for example in drawn],
            text=[caption for example in drawn for caption in example["captions"]],
            padding=True,
            truncation=True,
            return_tensors="pt",
        )
        return {**batch, "example_ids": [example["id"] for example in drawn]}
