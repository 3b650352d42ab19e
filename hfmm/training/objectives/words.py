"""Word vectors of the captions that a model learns from."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from torch import Tensor

from hfmm.data.examples import Examples
from hfmm.errors import DataError
from hfmm.nn.caption_processing import SPECIAL_WORDS
from hfmm.nn.word_vectors import learn_word_vectors

MOST_EXAMPLES = 5000  # whose captions are read


def vectors_of_captions(examples: Examples, processor: Any, dimensions: int, settings: Mapping[str, Any]) -> Tensor:
    """Learn the vectors of a processor's words from captions, see `hfmm.nn.word_vectors`. -> (V, D).

    Args:
        examples: With captions.
        processor: Makes `input_ids` of them.
        dimensions: D.
        settings: `window`, `shift` and `power`.

    Raises:
        DataError: There are no captions.
    """
    if "captions" not in examples.features:
        raise DataError(f"{examples.name} has no captions to learn words from: name data that have some")
    captions = [caption for own in islice(examples.column("captions"), MOST_EXAMPLES) for caption in own]
    tokens = processor(text=captions, padding=True)["input_ids"].tolist()
    sentences = ([word for word in sentence if word >= len(SPECIAL_WORDS)] for sentence in tokens)
    return learn_word_vectors(sentences, len(processor.tokenizer), dimensions, **settings)
