"""The processor of PMI retrieval: raw pixels, and words or their stems."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from hfmm.nn.pair_processing import PairProcessor
from hfmm.nn.porter_stemmer import stem


class PmiRetrievalProcessor(PairProcessor):
    """Pictures to `pixel_values` in [0, 1] unless a picture network reads them, texts to `input_ids` of stems.

    Args:
        image_processor: Any upstream image processor.
        tokenizer: Of words, or of stems.
        do_stem: "perches", "perching" and "perch" are one word.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, do_stem: bool = True, **kwargs: Any) -> None:
        super().__init__(image_processor, tokenizer, **kwargs)
        self.do_stem = do_stem

    @classmethod
    def from_corpus(cls, captions: Iterable[str], *args: Any, do_stem: bool = True, **kwargs: Any) -> Self:
        """Build a processor for training captions; see [`CaptioningProcessor.from_corpus`]."""
        texts = (stemmed(caption) for caption in captions) if do_stem else captions
        processor = super().from_corpus(texts, *args, **kwargs)
        processor.do_stem = do_stem
        return processor

    def words_of(self, text: str) -> str:
        """A text as it goes to the tokenizer: its stems."""
        return stemmed(text) if self.do_stem else text


def stemmed(text: str) -> str:
    """A text with its words, apart at white space and marks and in lower case, as their stems."""
    return " ".join(stem(word) for word in words_and_marks(text))


def words_and_marks(text: str) -> Sequence[str]:
    """Lower-case words and punctuation marks of a text."""
    return "".join(letter if letter.isalnum() else f" {letter} " for letter in text.lower()).split()
