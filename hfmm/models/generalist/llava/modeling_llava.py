"""LLaVA, version 1 (Liu, Li, Wu, Lee, NeurIPS 2023, arXiv 2304.08485).

The patches of a picture become tokens of a language model by one linear layer, and the model learns from conversations
about pictures. Everything but the projector is upstream's LLaVA 1.5, whose projector is the other choice here.

Axes: B pictures, N patches, V width of the picture tower, D width of the language model.

| paper | here |
|---|---|
| Z_v = g(X_v), grid features before or after the last layer | `vision_tower`, `vision_feature_layer` |
| H_v = W Z_v, Eq. 1 | `LlavaV1LinearProjector` |
| p(X_a given X_v, X_instruct), Eq. 3 | `LlavaV1ForConditionalGeneration.forward`, labels of answers alone |

Departure: W has a bias, as in the released code.
"""

from typing import Any

from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration, LlavaModel, LlavaPreTrainedModel

from .configuration_llava import LlavaV1Config


class LlavaV1LinearProjector(nn.Module):
    """W: patches to tokens of the language model (Eq. 1)."""

    def __init__(self, config: LlavaV1Config) -> None:
        super().__init__()
        layers = config.vision_feature_layer
        tower: Any = config.vision_config
        language: Any = config.text_config
        joined = 1 if isinstance(layers, int) else len(layers)
        self.linear = nn.Linear(
            tower.hidden_size * joined,
            language.hidden_size,
            bias=config.multimodal_projector_bias,
        )

    def forward(self, image_features: Tensor) -> Tensor:
        """H_v = W Z_v. (B, N, V) -> (B, N, D)."""
        return self.linear(image_features)  # B N D


class LlavaV1Model(LlavaModel):
    """The picture tower, the projector and the language model without its head."""

    config_class = LlavaV1Config

    def __init__(self, config: LlavaV1Config) -> None:
        super().__init__(config)
        if config.projector_type == "linear":
            self.multi_modal_projector = LlavaV1LinearProjector(config)  # type: ignore[assignment]
        self.post_init()


class LlavaV1ForConditionalGeneration(LlavaForConditionalGeneration):
    """LLaVA with the projector that its configuration names; all else is upstream's."""

    config_class = LlavaV1Config

    def __init__(self, config: LlavaV1Config) -> None:
        LlavaPreTrainedModel.__init__(self, config)  # the parent's would build its own model first
        self.model = LlavaV1Model(config)
        words: Any = config.text_config
        self.lm_head = nn.Linear(words.hidden_size, words.vocab_size, bias=False)
        language = self.model.language_model
        (table,) = (name for name, part in language.named_modules() if part is language.get_input_embeddings())
        self._tied_weights_keys = {"lm_head.weight": f"model.language_model.{table}.weight"}  # by its own name for it
        self.post_init()
