"""Captioning: the likelihood of the caption, and hard attention's REINFORCE rule with its moving-average baseline."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from hfmm.nn.captioning import IGNORED
from hfmm.training.objectives.base import Objective, StepContext, Turn

ONE = torch.ones(())  # as `num_items_in_batch`: the model returns sums instead of means


class Captioning(Objective):
    """Maximize log p(caption | picture); the model's `forward` holds the loss and its named parts."""

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn: the summed loss over the batch's words."""
        output = self._forward(batch, context)
        words = (batch["labels"] != IGNORED).sum()
        yield Turn("model", output.loss, words, {name: part.detach() for name, part in output.losses.items()})

    def _forward(self, batch: Mapping[str, Any], context: StepContext, **extra: Any) -> Any:
        return self.players["model"](
            pixel_values=batch["pixel_values"],
            labels=batch["labels"],
            num_items_in_batch=ONE,
            output_logits=False,
            **extra,
        )


class HardAttentionCaptioning(Captioning):
    """Hard attention (Xu et al. 2015, section 4.1): sampled locations, REINFORCE, and a moving-average baseline.

    b_k = 0.9 b_{k-1} + 0.1 log p(y | s_k, a), where log p is the mean over the captions of a step, on all processes and
    in all micro-batches.
    """

    baseline: float | None = None

    def turns(self, batch: Mapping[str, Any], context: StepContext) -> Iterator[Turn]:
        """One turn; with probability `semi_sampling_p` of a step, the expectation takes the place of the sample."""
        config: Any = context.unwrap(self.players["model"]).config
        self.decay = config.baseline_decay
        expected = torch.rand((), generator=context.generator).item() < config.semi_sampling_p
        baseline = None if self.baseline is None else torch.tensor(self.baseline)
        output = self._forward(batch, context, sample_attention=not expected, baseline=baseline)
        words = (batch["labels"] != IGNORED).sum()
        log: dict[str, Tensor] = {name: part.detach() for name, part in output.losses.items()}
        log["log_likelihood"] = output.log_likelihood.detach().sum()
        log["captions"] = torch.tensor(len(batch["labels"]), device=words.device)
        yield Turn("model", output.loss, words, log)

    def after_step(self, logs: Mapping[str, float]) -> None:
        """Move the baseline towards this step's mean log-likelihood of a caption."""
        seen = logs["log_likelihood"] / logs["captions"]  # both are divided by the number of words
        self.baseline = seen if self.baseline is None else self.decay * self.baseline + (1 - self.decay) * seen

    def state_dict(self) -> dict[str, float | list[float] | Tensor]:
        """The baseline, once there is one."""
        return {} if self.baseline is None else {"baseline": self.baseline}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the baseline back."""
        self.baseline = state.get("baseline")
