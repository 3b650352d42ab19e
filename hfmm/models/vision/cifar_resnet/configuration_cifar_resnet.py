"""Configuration of ResNets for pictures of 32 pixels."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin

PATCH = 2  # pixels on a side of what is whitened


@strict
class CifarResnetConfig(BackboneConfigMixin, PreTrainedConfig):
    """Configuration of [`CifarResnetBackbone`] and [`CifarResnetForImageClassification`].

    Defaults are the 20 layers of He et al. 2016, section 4.2: 6n + 2 with n = 3 units in each stage.

    Args:
        num_channels: Of the pictures.
        stem: "convolution" is a 3 x 3 one that is learned; "whitening" decorrelates the 2 x 2 patches of the first
            batch that is trained on, and stays as it then is (Jordan 2024).
        stem_size: Channels after a learned stem.
        hidden_sizes: Channels of the stages, none less than of the stage before.
        depths: Units of the stages, n of the paper.
        downsampling: "stride" halves a map in the first convolution of a unit, and the last map is averaged over its
            places; "max_pool" pools after that convolution, and takes the largest value of the last map.
        downsample_in_first_stage: Halve in the first stage, too.
        hidden_act: Name of the nonlinearity.
        bias_scale: The biases of normalizations are this multiple of what is learned, so that gradient descent moves
            them by its square as fast (Jordan 2024).
        logit_scale: Logits are multiplied by this.
        out_features: Stages the backbone returns, of "stem", "stage1", ...; the last one by default.
        out_indices: The same by index.
    """

    model_type = "hfmm_cifar_resnet"

    num_channels: int = 3
    stem: Literal["convolution", "whitening"] = "convolution"
    stem_size: int = 16
    hidden_sizes: list[int] | tuple[int, ...] = (16, 32, 64)
    depths: list[int] | tuple[int, ...] = (3, 3, 3)
    downsampling: Literal["stride", "max_pool"] = "stride"
    downsample_in_first_stage: bool = False
    hidden_act: str = "relu"
    bias_scale: float = 1.0
    logit_scale: float = 1.0

    def __post_init__(self, **kwargs: Any) -> None:
        self.hidden_sizes, self.depths = list(self.hidden_sizes), list(self.depths)
        self.stage_names = ["stem", *(f"stage{index}" for index in range(1, len(self.hidden_sizes) + 1))]
        self.set_output_features_output_indices(
            out_features=kwargs.pop("out_features", None), out_indices=kwargs.pop("out_indices", None)
        )
        super().__post_init__(**kwargs)

    @property
    def sizes(self) -> list[int]:
        """Channels of the stem's map and of each stage's."""
        whitened = 2 * self.num_channels * PATCH**2  # each direction and its opposite
        return [whitened if self.stem == "whitening" else self.stem_size, *self.hidden_sizes]

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if len(self.depths) != len(self.hidden_sizes) or not self.depths:
            sizes = self.hidden_sizes
            raise ValueError(f"depths {self.depths} and hidden_sizes {sizes} must be as many, and one at least")
        if min(self.depths) < 1:
            raise ValueError(f"depths {self.depths}: every stage needs a unit")
        if sorted(self.sizes) != self.sizes:
            raise ValueError(f"channels of stem and stages are {self.sizes}: none may be less than the one before")
