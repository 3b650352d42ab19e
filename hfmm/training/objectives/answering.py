"""Questions about pictures, answered from a closed list."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn.functional import one_hot

from hfmm.training.objectives.base import Objective, StepContext, Turn


class Answering(Objective):
    """Tell the right answer from the others; the model's `forward` holds the loss, a mean over questions.

    Labels are as upstream's models of the task take them: of every answer how right it is, (B, K).
    """

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's questions."""
        labels = batch["labels"]
        inputs = {name: value for name, value in batch.items() if name not in ("labels", "example_ids")}
        own: Any = context.unwrap(self.players["model"])
        targets = one_hot(labels, own.config.num_labels).to(batch["pixel_values"].dtype)  # B K
        output = self.players["model"](**inputs, labels=targets)
        questions = torch.tensor(len(labels), device=labels.device)
        right = (output.logits.detach().argmax(-1) == labels).sum()
        yield Turn("model", output.loss * questions, questions, {"accuracy": right})
