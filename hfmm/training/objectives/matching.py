"""Models that look at a picture and a text together: of every picture, which text of the batch is its own, and back.

Settings:

| setting | what |
|---|---|
| `near` | of each text, so many of the batch that share most words with it are wrong for its picture |
| `others` | and so many drawn from the batch; with neither setting every text meets every picture |
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hfmm.errors import UsageError
from hfmm.nn.contrastive import matching_loss
from hfmm.nn.pairs import ScoresAllPairs, rows_of, spread
from hfmm.training.objectives.base import Objective, StepContext, Turn


class PairMatching(Objective):
    """Tell the text of a picture from others, and the picture of a text; equal texts are wrong for neither picture.

    Pairs of one process are compared with each other alone. With `near` and `others` the work grows with the batch, and
    without with its square.
    """

    defaults = {"near": 0, "others": 0}

    def check(self) -> None:
        """Refuse what is no number of texts."""
        for name, count in self.settings.items():
            if not isinstance(count, int) or count < 0:
                raise UsageError(f"objective.{name} is {count}: a number of texts, 0 or more")

    def prepare(self, dataset: Any, processor: Any) -> None:
        """Note the words that all texts have."""
        self.special = torch.tensor(processor.tokenizer.all_special_ids)

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's pairs."""
        inputs = {name: value for name, value in batch.items() if name != "example_ids"}
        images, texts = self._meeting(inputs["input_ids"]).nonzero(as_tuple=True)  # P each
        scores = self._scores(inputs, images, texts, context).float()  # B B
        pairs = torch.tensor(len(scores), device=scores.device)
        right = scores.detach().argmax(1) == torch.arange(len(scores), device=scores.device)
        yield Turn("model", matching_loss(scores) * pairs, pairs, {"top_1": right.sum()})

    def _meeting(self, input_ids: Tensor) -> Tensor:
        """Which pictures meet which texts: (B, B), with the diagonal."""
        count = len(input_ids)
        own = torch.eye(count, dtype=torch.bool, device=input_ids.device)
        same = (input_ids[:, None] == input_ids).all(2) & ~own
        near, others = (self.settings[name] for name in ("near", "others"))
        if not near and not others:
            return ~same
        likeness = self._likeness(input_ids).masked_fill(own | same, -1)  # B B
        meeting = own.scatter(1, likeness.topk(min(near, count)).indices, True)
        drawn = torch.rand(count, count).topk(min(others, count)).indices.to(input_ids.device)
        return meeting.scatter(1, drawn, True) & ~same

    def _likeness(self, input_ids: Tensor) -> Tensor:
        """Cosines of the sets of words of texts. (B, L) -> (B, B)."""
        words = torch.zeros(len(input_ids), int(input_ids.max()) + 1, device=input_ids.device)
        words.scatter_(1, input_ids, 1)  # B V
        words[:, self.special[self.special < words.shape[1]].to(input_ids.device)] = 0
        words = normalize(words, dim=-1)
        return words @ words.T

    def _scores(self, inputs: Mapping[str, Any], images: Tensor, texts: Tensor, context: StepContext) -> Tensor:
        """Scores of the pairs that meet, minus infinity elsewhere. -> (B, B)."""
        model = self.players["model"]
        if isinstance(context.unwrap(model), ScoresAllPairs):
            found: Tensor = model(**inputs, pairs=torch.stack([images, texts])).logits_per_image
            return found
        count = len(inputs["input_ids"])
        return spread(model(**rows_of(inputs, images, texts)).logits[:, 0], images, texts, (count, count))
