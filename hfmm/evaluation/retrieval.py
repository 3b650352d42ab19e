"""Scores models that tell which picture and which caption belong together: each is searched for by the other.

A model either embeds both (see `hfmm.retrieval.embedding`), or scores a pair, for which every picture meets every
caption.

Axes: I pictures, T captions, U different captions, D width.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hfmm.data.columns import require
from hfmm.data.examples import Example, Examples
from hfmm.device import fast_matrix_products
from hfmm.errors import UsageError
from hfmm.evaluation.base import Asked, Outcome, check_metric
from hfmm.evaluation.reading import answers, gathered
from hfmm.explanation.matching import pair_scores
from hfmm.metrics.retrieval import ranks, summary
from hfmm.nn.pairs import looks_at_pairs
from hfmm.retrieval.embedding import BATCH_SIZE, Embedder

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]
MOST_PAIRS = 2_000_000  # that a model which takes them one by one is asked for
BLOCK = 2**24  # scores in memory


class Scored(NamedTuple):
    """The scores of pictures with texts, a part at a time.

    Attributes:
        read: The examples, without pictures.
        of_pictures: Numbers of pictures (b,) to their scores with every text, (b, U).
        of_texts: Numbers of texts (b,) to their scores with every picture, (b, I).
    """

    read: list[Example]
    of_pictures: Callable[[Numbers], Floats]
    of_texts: Callable[[Numbers], Floats]


def score_retrieval(model: Any, processor: Any, examples: Examples, asked: Asked) -> Outcome:
    """Search pictures by every caption, and captions by every picture; `retrieval` is the task's own metric.

    Returns:
        The scores; predictions are the caption that fits each picture best, with its score.

    Raises:
        UsageError: Another metric is asked for, the model embeds no texts, or there are too many pairs.
        DataError: The examples have no captions.
    """
    check_metric(asked, "retrieval", "retrieval model")
    require(examples, ("image", "captions"), "image-text-retrieval")
    captions = [examples.peek(row)["captions"] for row in range(len(examples))]
    owner = np.repeat(np.arange(len(captions)), [len(own) for own in captions])  # T
    texts = list(dict.fromkeys(caption for own in captions for caption in own))  # U; equal captions score the same
    places = {text: place for place, text in enumerate(texts)}
    text_of = np.array([places[caption] for own in captions for caption in own])  # T
    kind = _by_pairs if looks_at_pairs(model) else _by_embeddings
    scored = kind(model, processor, examples, texts, asked.processes)
    said: list[str] = []
    by_image, by_text = [], []
    for pictures in _blocks(len(captions), len(owner)):
        scores = scored.of_pictures(pictures)  # b U
        by_image.append(ranks(scores[:, text_of], owner == pictures[:, None]))
        best = scores.argmax(1)
        said += [f"{texts[place]}, {row[place]:.2f}" for row, place in zip(scores, best, strict=True)]
    for numbers in _blocks(len(owner), len(captions)):
        own = owner[numbers][:, None] == np.arange(len(captions))
        by_text.append(ranks(scored.of_texts(text_of[numbers]), own))
    return Outcome(summary(np.concatenate(by_text), np.concatenate(by_image)), said, scored.read)


def _blocks(count: int, width: int) -> list[Numbers]:
    """Numbers of queries, so many at a time that their scores with `width` others are few enough."""
    return np.array_split(np.arange(count), -(-count * width // BLOCK))


def _by_embeddings(
    model: Any, processor: Any, examples: Examples, texts: list[str], processes: tuple[int, int]
) -> Scored:
    was_training = model.training
    embedder = Embedder(model, processor)
    pictures, read = answers(model, processor, examples, lambda batch: list(embedder.pictures(batch)), processes)
    count, index = processes
    shares = [text_embeddings(embedder, texts[index::count])] if texts[index::count] else []
    found = gathered([row for share in shares for row in share], len(texts), processes)
    model.train(was_training)
    images, words = torch.stack(pictures), torch.stack(found)  # I D, U D

    def of_pictures(numbers: Numbers) -> Floats:
        with fast_matrix_products():
            return embedder.score(images[numbers], words, from_text=False, to_text=True).numpy()

    def of_texts(numbers: Numbers) -> Floats:
        with fast_matrix_products():
            return embedder.score(words[numbers], images, from_text=True, to_text=False).numpy()

    return Scored(read, of_pictures, of_texts)


def text_embeddings(embedder: Embedder, texts: Sequence[str]) -> Tensor:
    """Texts in batches, cut to what the model takes. T of them -> (T, D)."""
    starts = range(0, len(texts), BATCH_SIZE)
    return torch.cat([embedder.texts(texts[start : start + BATCH_SIZE], cut=True) for start in starts])


def _by_pairs(model: Any, processor: Any, examples: Examples, texts: list[str], processes: tuple[int, int]) -> Scored:
    if len(examples) * len(texts) > MOST_PAIRS:
        raise UsageError(
            f"{len(examples):,} pictures and {len(texts):,} captions make too many pairs for a model that looks at "
            f"each: score fewer examples with --limit"
        )

    found, read = answers(
        model, processor, examples, lambda pictures: list(pair_scores(model, processor, pictures, texts)), processes
    )
    scores = np.stack(found)  # I U
    return Scored(read, lambda numbers: scores[numbers], lambda numbers: scores.T[numbers])


def match(model: Any, processor: Any, pictures: Sequence[Image.Image], texts: Sequence[str]) -> Floats:
    """The scores of pictures with texts, as a model for retrieval gives them.

    Args:
        model: On its device, in evaluation mode.
        processor: Its processor.
        pictures: I of them.
        texts: T of them.

    Returns:
        (I, T), higher fits better.

    Raises:
        UsageError: A text is longer than the model takes, or the model embeds no texts.
    """
    if looks_at_pairs(model):
        return pair_scores(model, processor, pictures, texts)
    embedder = Embedder(model, processor)
    scores = embedder.score(embedder.pictures(pictures), embedder.texts(texts), from_text=False, to_text=True)
    found: Floats = scores.numpy()
    return found
