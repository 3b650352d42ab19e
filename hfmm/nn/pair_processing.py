"""The processor of models of pictures and texts side by side: the captioners' tokenizer, for texts that are given."""

from collections.abc import Sequence
from typing import Any

from transformers import BatchFeature

from hfmm.nn.caption_processing import CaptioningProcessor


class PairProcessor(CaptioningProcessor):
    """Pictures to `pixel_values`, and texts to `input_ids` and `attention_mask`, which captions are not labels of."""

    def __call__(  # type: ignore[override]
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        return_tensors: str = "pt",
        padding: bool = True,
        truncation: bool = False,
        **kwargs: Any,
    ) -> BatchFeature:
        """Prepare pictures, texts, or both.

        Args:
            images: Pictures (PIL, arrays or tensors).
            text: One text or several.
            return_tensors: As upstream's processors take it.
            padding: Texts to the length of the longest.
            truncation: Texts to the most words that the tokenizer has been told of.
            kwargs: Passed to the image processor.

        Returns:
            `pixel_values` (B, 3, H, W) for pictures, `input_ids` and `attention_mask` (N, T) for texts.
        """
        data: dict[str, Any] = {}
        if images is not None:
            data.update(self.image_processor(images, return_tensors=return_tensors, **kwargs))
        if text is not None:
            texts = [self.words_of(one) for one in ([text] if isinstance(text, str) else text)]
            tokens = self.tokenizer(texts, return_tensors=return_tensors, padding=padding, truncation=truncation)
            data |= {name: tokens[name] for name in ("input_ids", "attention_mask")}
        return BatchFeature(data)

    def words_of(self, text: str) -> str:
        """A text as it goes to the tokenizer."""
        return text

    @property
    def model_input_names(self) -> list[str]:
        """What the models read."""
        return ["pixel_values", "input_ids", "attention_mask"]
