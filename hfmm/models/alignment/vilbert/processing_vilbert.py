"""ViLBERT processor: pictures to a rectangle of pixels, texts to words, one of which stands for what is masked."""

from collections.abc import Iterable, Sequence
from typing import Self

from transformers import CLIPImageProcessorPil

from hfmm.nn.caption_processing import word_tokenizer
from hfmm.nn.pair_processing import PairProcessor

MASK = "<mask>"


class VilbertProcessor(PairProcessor):
    """Pictures to `pixel_values`, texts to `input_ids` and `attention_mask`; regions come from the model."""

    @classmethod
    def from_corpus(  # type: ignore[override]
        cls,
        captions: Iterable[str],
        image_size: int | Sequence[int] = 224,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        min_count: int = 1,
        max_words: int | None = None,
        max_length: int = 36,
    ) -> Self:
        """Build a processor.

        Args:
            captions: Whose words are the vocabulary.
            image_size: Side of the central square that pictures are cut to, or [height, width] to stretch them to.
            image_mean: Of the channels.
            image_std: Of these.
            min_count: Keep words seen at least so often.
            max_words: Keep at most so many words, special ones not counted.
            max_length: Words of a text, start and end included; more are cut off where `truncation` is asked for.
        """
        sides = [image_size, image_size] if isinstance(image_size, int) else list(image_size)
        whole = {"height": sides[0], "width": sides[1]}
        crops = isinstance(image_size, int)
        image_processor = CLIPImageProcessorPil(
            size={"shortest_edge": sides[0]} if crops else whole,
            do_center_crop=crops,
            crop_size=whole,
            image_mean=list(image_mean),
            image_std=list(image_std),
        )
        tokenizer = word_tokenizer(captions, min_count, max_words)
        tokenizer.add_special_tokens({"mask_token": MASK})
        tokenizer.model_max_length = max_length
        return cls(image_processor, tokenizer)
