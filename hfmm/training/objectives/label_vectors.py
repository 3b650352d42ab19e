"""Classification by vectors: a label is a point in a space of words, where pictures are to come near to it.

Settings:

| setting | what |
|---|---|
| `vectors` | "captions", learned by co-occurrence; "random" and "one_hot", baselines; or a folder, `data.hierarchy` |
| `words` | of vectors from captions: `window`, `shift` and `power`, see `hfmm.nn.word_vectors` |
| `corpus` | data whose captions these are, `name` and `options`; by default the training data with unseen classes |
| `label_texts` | what to call a label whose name is not made of words |
| `hierarchy` | what labels are, for scores: "heads" (a red ring is a ring), or a folder; none by default |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor
from torch.nn.functional import one_hot

from hfmm import data
from hfmm.data.examples import Examples, Selection
from hfmm.data.hierarchy import heads, pooled_vectors, read_hierarchy, read_vectors
from hfmm.errors import UsageError
from hfmm.training.objectives.base import Objective, StepContext, Turn
from hfmm.training.objectives.words import vectors_of_captions

CAPTIONS, RANDOM, ONE_HOT = "captions", "random", "one_hot"


class LabelVectors(Objective):
    """Minimize the loss of the model's `forward` among labels whose vectors are found before the first step."""

    defaults = {"vectors": CAPTIONS, "words": {}, "corpus": None, "label_texts": {}, "hierarchy": None}
    numbers: Tensor  # (classes of the data,), of each the number that the model has for it, -1 for none

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Find the vectors of words and labels, and give them to the model.

        Labels that nothing is known of, and in the baseline "one_hot" those that training has no pictures of, are none
        of the model's.

        Raises:
            UsageError: A label with pictures has no vector.
            DataError: A folder cannot be read.
        """
        model: Any = extract_model_from_parallel(self.players["model"])
        names, unseen = list(dataset.label_names), dataset.unseen_labels
        vectors = self._label_vectors(model, processor, dataset, names)  # labels D
        is_known = vectors.any(1).tolist()
        missing = [name for name, known in zip(names, is_known, strict=True) if not known and name not in unseen]
        if missing:
            raise UsageError(f"label '{missing[0]}' has no vector: say in objective.label_texts what to call it")
        known = [number for number, has in enumerate(is_known) if has]
        self.numbers = torch.full((len(names),), -1)
        self.numbers[known] = torch.arange(len(known))
        chosen = [names[number] for number in known]
        model.set_labels(chosen, vectors[known])
        keeps = self.settings["vectors"] == ONE_HOT  # a classifier misses what it has no output for
        model.config.unseen_labels = [name for name in unseen if keeps or name in chosen]
        model.config.label_parents = self._hierarchy(names if keeps else chosen)

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures."""
        labels = self.numbers.to(batch["labels"].device)[batch["labels"]]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels)
        pictures = torch.tensor(len(labels), device=labels.device)
        right = (output.logits_per_image.detach().argmax(-1) == labels).sum()
        yield Turn("model", output.loss * pictures, pictures, {"top_1": right})

    def _label_vectors(self, model: Any, processor: Any, dataset: Examples, names: Sequence[str]) -> Tensor:
        """Of each label its vector, or zeros. -> (labels, D)."""
        source, width = self.settings["vectors"], model.config.word_size
        if source == RANDOM:
            return torch.randn(len(names), width, generator=torch.Generator().manual_seed(0))
        if source == ONE_HOT:
            seen = [number for number, name in enumerate(names) if name not in dataset.unseen_labels]
            if len(seen) > width:
                raise UsageError(
                    f"{len(seen)} labels need a word_size of as many, not {width}: model.word_size={len(seen)}"
                )
            vectors = torch.zeros(len(names), width)
            vectors[seen] = one_hot(torch.arange(len(seen)), width).float()
            return vectors
        texts = [self.settings["label_texts"].get(name, name) for name in names]
        if source == CAPTIONS:
            corpus = self.settings["corpus"]
            told = data.load(corpus["name"], **corpus.get("options", {})) if corpus else whole(dataset)
            model.set_words(vectors_of_captions(told, processor, width, self.settings["words"]))
            ids = processor(text=texts, padding=True, return_tensors="pt")["input_ids"].to(model.device)
            found: Tensor = model.get_text_features(ids).pooler_output.cpu()
            return found
        hierarchy, known = read_hierarchy(source), read_vectors(source)
        words = processor.tokenizer.convert_ids_to_tokens(range(len(processor.tokenizer)))
        of_words, of_labels = (torch.from_numpy(pooled_vectors(each, hierarchy, known)) for each in (words, texts))
        if of_words.shape[1] != width:
            raise UsageError(f"the vectors of {source} have {of_words.shape[1]} dimensions: model.word_size is {width}")
        model.set_words(of_words)
        return of_labels

    def _hierarchy(self, names: Sequence[str]) -> dict[str, list[str]] | None:
        """Of each node the nodes above it."""
        where = self.settings["hierarchy"]
        if where in (None, "heads"):
            return heads(names) if where else None
        return read_hierarchy(where).parents_of(names)


def whole(examples: Examples) -> Examples:
    """The examples before classes were left out of them: words may be read that no picture is shown of."""
    return examples.base if isinstance(examples, Selection) and examples.unseen_labels else examples
