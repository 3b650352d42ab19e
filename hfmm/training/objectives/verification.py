"""Models that compare pictures: those of one person together, those of others apart."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor

from hfmm.data.identities import Identities
from hfmm.evaluation.reading import BATCH_SIZE, batches
from hfmm.training.objectives.base import Objective, StepContext, Turn


@runtime_checkable
class Measures(Protocol):
    """A model that is finished by statistics of its training set."""

    def measure(self, batches: Iterator[Tensor]) -> None:
        """Look at pictures, (B, C, H, W) a batch."""


class Verification(Objective):
    """Minimize a loss between the pictures of a batch; the model's `forward` holds it and what there is to see of it.

    Every micro-batch of a process is compared with itself alone: one process, or several, see the same losses where
    each gets as many persons.
    """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the loss, weighted by the number of pictures."""
        labels = batch["labels"]
        output = self.players["model"](pixel_values=batch["pixel_values"], labels=labels, generator=context.generator)
        pictures = torch.tensor(len(labels), device=labels.device)
        log = {name: part.detach() * pictures for name, part in output.losses.items()}
        yield Turn("model", output.loss * pictures, pictures, log)

    def before_scoring(self, dataset: Any, processor: Any) -> None:
        """Let the model look at the persons of the training set, where it measures something there."""
        player = self.players["model"]
        model: Any = extract_model_from_parallel(player)
        if not isinstance(model, Measures):
            return
        was_training, device = player.training, next(player.parameters()).device
        player.eval()
        model.measure(pictures_of(dataset, processor, device))
        player.train(was_training)


def pictures_of(identities: Identities, processor: Any, device: torch.device) -> Iterator[Tensor]:
    """All pictures of all persons, (B, C, H, W) a batch."""
    for person in identities:
        for batch in batches(person["members"], processor, BATCH_SIZE):
            found = processor([example["image"] for example in batch], return_tensors="pt")
            yield found["pixel_values"].to(device)
