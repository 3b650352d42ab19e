"""DeViSE configuration."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class DeviseConfig(PreTrainedConfig):
    """Configuration of [`DeviseModel`].

    Defaults are the paper's (Frome et al. 2013, section 3), but for `vocab_size`, which is 155,000 there.

    Args:
        vision_config: Any picture network; its pooled output, or the mean of its last map over places, is v.
        image_feature_size: Width of v, 4,096 for AlexNet.
        vocab_size: Number of words that have a vector.
        word_size: D, width of word vectors, of labels and of what M makes of pictures.
        loss: "rank" (the paper's), or "softmax", its baseline: over one-hot vectors M is a classifier's last layer.
        margin: Of the rank loss.
        negatives: Which wrong labels the rank loss pushes away: the first in random order that violates the margin
            ("first_violation"), "all" of them, or `num_negatives` random ones ("sampled").
        num_negatives: Of "sampled".
        unseen_labels: Names of labels that training has no pictures of, and so does not push away either.
        label_parents: What labels are, by name: a node to the nodes above it, a hierarchy that scores can be made by.
    """

    model_type = "hfmm_devise"
    sub_configs_defaults = {"vision_config": SubConfigSpec(AutoConfig, "hfmm_alexnet")}

    vision_config: dict | PreTrainedConfig | None = None
    image_feature_size: int = 4096
    vocab_size: int = 155_000
    word_size: int = 500
    loss: Literal["rank", "softmax"] = "rank"
    margin: float | int = 0.1
    negatives: Literal["first_violation", "all", "sampled"] = "first_violation"
    num_negatives: int = 1
    unseen_labels: list[Any] | tuple[Any, ...] = ()
    label_parents: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.unseen_labels = list(self.unseen_labels)
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is not possible."""
        if self.num_negatives < 1:
            raise ValueError(f"num_negatives is {self.num_negatives}: at least one is needed")
