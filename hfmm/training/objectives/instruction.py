"""Instruction tuning: the likelihood of answers, given pictures and what was said before them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmm.data.dialogues import IGNORED
from hfmm.training.objectives.base import Objective, StepContext, Turn

ONE = torch.ones(())  # as `num_items_in_batch`: the model returns sums instead of means


class Instruction(Objective):
    """Maximize log p(X_a | X_v, X_instruct) of an answer's tokens and what ends it (Liu et al. 2023, Eq. 3)."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's learned tokens."""
        inputs = {name: value for name, value in batch.items() if name != "example_ids"}
        output = self.players["model"](**inputs, num_items_in_batch=ONE, use_cache=False)
        yield Turn("model", output.loss, (batch["labels"][:, 1:] != IGNORED).sum(), {})
