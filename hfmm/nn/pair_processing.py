"""The processor of the models that compare pictures with sentences: an upstream image processor and a tokenizer.

Both parts are upstream classes, so a saved processor needs no code of its own but its few lines of `<Name>Processor`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from transformers import PreTrainedTokenizerFast, ProcessorMixin

from hfmm.nn.caption_processing import square_image_processor, word_tokenizer


class PairProcessor(ProcessorMixin):
    """Pictures to `pixel_values`, sentences to `input_ids` and `attention_mask`; called as CLIP's processor.

    Args:
        image_processor: Any upstream image processor.
        tokenizer: Any tokenizer with a padding word.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, **kwargs: Any) -> None:
        super().__init__(image_processor, tokenizer, **kwargs)

    @classmethod
    def from_corpus(
        cls,
        captions: Iterable[str],
        image_size: int = 224,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        max_length: int = 512,
        **vocabulary: Any,
    ) -> Self:
        """Build a processor for training captions.

        Args:
            captions: Whose words are the vocabulary.
            image_size: Side of the central square that pictures are cut to, in pixels.
            image_mean: Of the three channels.
            image_std: Of the three channels.
            max_length: Words of a sentence, start and end included; more are cut off where `truncation` is asked for.
            vocabulary: Of [`PairProcessor.build_tokenizer`].
        """
        tokenizer = cls.build_tokenizer(captions, **vocabulary)
        tokenizer.model_max_length = max_length
        return cls(square_image_processor(image_size, image_mean, image_std), tokenizer)

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> Any:
        """Save both parts, but not how the last batch was cut and padded, which loading would take for settings."""
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        return super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)

    @classmethod
    def build_tokenizer(cls, captions: Iterable[str], **vocabulary: Any) -> PreTrainedTokenizerFast:
        """Build the tokenizer; words by default, with the `min_count` and `max_words` of [`word_tokenizer`]."""
        return word_tokenizer(captions, **vocabulary)
