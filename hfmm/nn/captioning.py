"""What the captioners of the papers share: the output, shifting, and stock `generate` over a recurrent state.

Axes: B batch, T words, V vocabulary, L annotations.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import GenerationMixin
from transformers.utils import ModelOutput

IGNORED = -100  # label of a position that has no word, as everywhere in transformers


@dataclass
class CaptioningOutput(ModelOutput):
    """What a captioner's `forward` returns.

    Attributes:
        loss: (), per word (or divided by `num_items_in_batch`), when labels are given.
        losses: The named parts of `loss`, each (), adding up to it.
        logits: (B, T, V), scores of the next word; None where `output_logits=False`.
        state: The decoder's recurrent state after the last word, each (B, ...), when `use_cache`.
        encoder_last_hidden_state: What the decoder saw of the picture, (B, D) or (B, L, D).
        cross_attentions: One (B, T, L), the attention of each word, from attention captioners.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    state: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    decoder_hidden_states: tuple[Tensor, ...] | None = None


def shift_right(labels: Tensor, start_token_id: int, pad_token_id: int) -> Tensor:
    """What a decoder reads to predict `labels`: start, then each label but the last. (B, T) -> (B, T)."""
    inputs = labels.new_full(labels.shape, start_token_id)
    inputs[:, 1:] = labels[:, :-1]
    return inputs.masked_fill(inputs == IGNORED, pad_token_id)


class RecurrentGenerationMixin(GenerationMixin):
    """Lets stock `generate` drive a decoder whose memory is a tuple of (B, ...) tensors called `state`.

    The picture is encoded once, by `get_encoder()`, before beams multiply the batch. Mix in after the PreTrainedModel.
    """

    _is_stateful = True  # a state cannot be rolled back: assisted decoding is refused

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # otherwise a DynamicCache is injected and takes the place of `state`

    @staticmethod
    def _reorder_cache(state: tuple[Tensor, ...], beam_idx: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.index_select(0, beam_idx) for part in state)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        decoder_input_ids: Tensor,
        state: tuple[Tensor, ...] | None = None,
        encoder_outputs: Any = None,
        use_cache: bool | None = True,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Feed the last word only, once there is a state."""
        if state is not None:
            decoder_input_ids = decoder_input_ids[:, -1:]
        return {
            "decoder_input_ids": decoder_input_ids,
            "state": state,
            "encoder_outputs": encoder_outputs,
            "use_cache": use_cache,
        }
