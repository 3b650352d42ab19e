"""Models that make a picture of a picture."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel

from hfmm.training.objectives.base import Objective, StepContext, Turn

COUNTED = 500  # pictures


class Editing(Objective):
    """Come close to the picture that should come out; the model's `forward` holds the loss, a mean over pictures."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pictures; what should come back as it was has no labels."""
        given = {name: batch[name] for name in ("pixel_values", "labels") if name in batch}
        output = self.players["model"](**given)
        pictures = torch.tensor(len(given["pixel_values"]), device=given["pixel_values"].device)
        yield Turn("model", output.loss * pictures, pictures, {})


class Coloring(Editing):
    """The same, after counting how frequent colors are: rare ones weigh more."""

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Give the model the frequencies of colors in COUNTED pictures, at equal distances in the data."""
        model: Any = extract_model_from_parallel(self.players["model"])
        counts = torch.zeros(len(model.frequencies), dtype=torch.long)
        for row in range(0, len(dataset), max(1, len(dataset) // COUNTED)):
            labels = processor([dataset[row]["image"]], with_labels=True, return_tensors="pt")["labels"]
            counts += model.counts_of(labels.to(model.device)).cpu()
        model.set_frequencies(counts)
