"""Instruction tuning: the likelihood of answers, given pictures and what was said before them."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.functional import pad

from hfmm.data.dialogues import IGNORED
from hfmm.training.objectives.base import Objective, StepContext, Turn
from hfmm.training.packing import can_pack, pack, packed_attention
from hfmm.training.towers import with_pictures

ONE = torch.ones(())  # as `num_items_in_batch`: the model returns sums instead of means


class Instruction(Objective):
    """Maximize log p(X_a | X_v, X_instruct) of an answer's tokens and what ends it (Liu et al. 2023, Eq. 3).

    Logits are computed of what is learned alone. Unless `packed` is false, a batch is computed without its padding,
    where the language model attends to all that is before a token and to nothing else.
    """

    shards = True
    defaults = {"packed": True}

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's learned tokens."""
        inputs = with_pictures({name: value for name, value in batch.items() if name not in ("example_ids", "labels")})
        wanted = pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)  # B T, what each token is to predict
        own: Any = context.unwrap(self.players["model"])
        language = own.config.get_text_config()
        packed = self.settings["packed"] and can_pack(language, inputs)
        if packed:
            inputs, wanted = pack(inputs, wanted)  # 1 N
        is_learned = wanted != IGNORED
        with packed_attention(language) if packed else nullcontext():
            output = self.players["model"](
                **inputs, labels=wanted, shift_labels=wanted[is_learned], logits_to_keep=is_learned,
                num_items_in_batch=ONE, use_cache=False,
            )  # fmt: skip
        yield Turn("model", output.loss, is_learned.sum(), {})
