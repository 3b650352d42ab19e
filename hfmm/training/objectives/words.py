"""Word vectors of the captions that a model learns from."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from accelerate.utils import extract_model_from_parallel
from torch import Tensor

from hfmm.data.examples import Examples
from hfmm.errors import DataError
from hfmm.nn.caption_processing import SPECIAL_WORDS
from hfmm.nn.word_vectors import learn_word_vectors
from hfmm.training.objectives.contrastive import Contrastive

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


class WordPairs(Contrastive):
    """Pairs of pictures and captions whose words keep vectors that were learned before the first step.

    Settings: `words`, `window`, `shift` and `power` of [`vectors_of_captions`]; `cache`, as `contrastive` has it.
    """

    defaults = {**Contrastive.defaults, "words": {}}

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Give the model the vectors of words.

        Raises:
            DataError: There are no captions.
        """
        model: Any = extract_model_from_parallel(self.players["model"])
        model.set_words(vectors_of_captions(dataset, processor, model.config.word_size, self.settings["words"]))
