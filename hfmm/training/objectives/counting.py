"""What is seen with what is said: counted, or learned so that a text finds its picture among others."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor

from hfmm.data.examples import Example, Examples
from hfmm.errors import UsageError, unknown
from hfmm.evaluation.reading import BATCH_SIZE, batches
from hfmm.training.objectives.base import Fit
from hfmm.training.objectives.contrastive import Contrastive
from hfmm.training.objectives.words import vectors_of_captions

STARTS = ("zero", "counts")
FIRST_PICTURES = 64  # whose colors make the bins
COUNTS = ("pair_counts", "picture_counts", "word_counts", "num_pairs")


@runtime_checkable
class Counts(Protocol):
    """A model whose weights are made of counts."""

    def learn_bins(self, pixel_values: Tensor, seed: int) -> None:
        """Take what features need to know of pictures."""

    def count(self, **inputs: Tensor) -> None:
        """Add pairs of pictures and texts."""

    def settle(self) -> None:
        """Make weights of the counts."""


def counter(players: Any) -> Any:
    """The model that counts.

    Raises:
        UsageError: It does not.
    """
    model = extract_model_from_parallel(players["model"])
    if not isinstance(model, Counts):
        raise UsageError(f"{type(model).__name__} has nothing to count")
    return model


def pairs(examples: Iterable[Example], processor: Any, device: torch.device) -> dict[str, Tensor]:
    """Every caption of some examples in a row of its own, beside its picture."""
    known = [example for example in examples if example["captions"]]
    inputs = processor(
        images=[example["image"] for example in known],
        text=[caption for example in known for caption in example["captions"]],
        padding=True,
        return_tensors="pt",
    ).to(device)
    repeats = torch.tensor([len(example["captions"]) for example in known], device=device)
    return {**inputs, "pixel_values": inputs["pixel_values"].repeat_interleave(repeats, 0)}


def learn_bins(model: Any, dataset: Examples, processor: Any, seed: int) -> None:
    """Give a model the colors of pictures from all over the data."""
    step = max(1, len(dataset) // FIRST_PICTURES)
    chosen = dataset.select(range(0, len(dataset), step)[:FIRST_PICTURES])
    pictures = [example["image"] for example in chosen.sized(64, 64)]
    model.learn_bins(processor(images=pictures, return_tensors="pt")["pixel_values"].to(model.device), seed)


class Counting(Fit):
    """Count features and words in all pictures and all of their captions.

    Settings: `seed` of the bins of colors.
    """

    defaults = {"seed": 0}

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Find the bins.

        Raises:
            UsageError: The model does not count.
        """
        learn_bins(counter(self.players), dataset, processor, self.settings["seed"])

    @torch.no_grad()
    def fit(self, dataset: Any, processor: Any, total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Count, add what other processes counted, and settle."""
        model = counter(self.players).eval()
        for batch in batches(dataset, processor, BATCH_SIZE):
            model.count(**pairs(batch, processor, model.device))
        for name in COUNTS:
            model.get_buffer(name).copy_(total(model.get_buffer(name)))
        model.settle()
        return {"pairs": float(model.num_pairs), "share_of_pairs_seen": float((model.pair_counts > 0).float().mean())}


class Discriminative(Contrastive):
    """Learn the weights by the model's loss of pairs, from zero or from counts.

    Settings: `start`, "zero" or "counts"; `examples` that are counted (2,000); `cache` and those of word vectors
    (`words`, see `hfmm.nn.word_vectors`); `seed` of the bins of colors.
    """

    defaults = {**Contrastive.defaults, "start": "counts", "examples": 2000, "words": {}, "seed": 0}

    def check(self) -> None:
        """Refuse a start that there is not."""
        super().check()
        if self.settings["start"] not in STARTS:
            raise unknown("start of objective discriminative", str(self.settings["start"]), STARTS)

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Find bins and word vectors, and the weights to start from.

        Raises:
            UsageError: The model does not count.
        """
        model = counter(self.players)
        learn_bins(model, dataset, processor, self.settings["seed"])
        if model.config.text_features == "word_vectors":
            model.set_words(vectors_of_captions(dataset, processor, model.config.word_size, self.settings["words"]))
        if self.settings["start"] == "counts":
            examples = dataset.select(range(min(len(dataset), self.settings["examples"])))
            Counting(self.players).fit(examples, processor, lambda value: value)
        else:
            torch.nn.init.zeros_(model.theta.weight)
