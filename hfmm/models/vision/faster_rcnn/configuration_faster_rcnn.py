"""Faster R-CNN configuration."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class FasterRcnnConfig(PreTrainedConfig):
    """Configuration of [`FasterRcnnForObjectDetection`].

    Defaults are those of bottom-up attention (Anderson et al. 2018): ResNet-101, whose first four blocks make the
    feature map and whose fifth looks at each region; but for `num_labels`, which is 1,600 there.

    Args:
        backbone_config: Any backbone of hfmm or transformers; regions are cut out of its last feature map.
        anchor_sizes: Sides of the square anchors in pixels of the picture that enters.
        anchor_ratios: Height over width of the anchors; an anchor of any ratio keeps the area.
        rpn_hidden_size: Channels of the proposal network's 3 x 3 convolution.
        rpn_batch_size: N_cls, anchors of a picture that a training step looks at.
        rpn_lambda: Weight of the proposals' boxes (Faster R-CNN, Eq. 1).
        pre_nms_proposals: Best boxes of a picture that suppression looks at.
        num_proposals: Boxes of a picture that stay, at most.
        num_training_proposals: The same in training, before regions are drawn from them.
        rpn_overlap: Intersection over union that two proposals may have.
        region_batch_size: Regions of a picture that a training step looks at.
        pooling: "align" averages samples in the bins of a region, "max" takes the maximum of whole pixels.
        pooling_samples: Points a bin and direction that are averaged.
        pooled_size: Bins a side.
        head_layer_type: Of the residual stage over the bins, "bottleneck" or "basic".
        head_depth: Its layers.
        head_stride: Of its first layer.
        feature_size: D, its channels, and the width of a region's feature.
        class_agnostic: One box a region in place of one for each class.
        num_attributes: Of them a region has at most one; 0 for a model without.
        id2attribute: Their names; "attribute 0" and so on by default. If given, it decides `num_attributes`.
        class_embedding_size: Width of the class that attributes are told with.
        attribute_hidden_size: Width of the layer before the attributes.
        attribute_weight: Of their loss.
    """

    model_type = "hfmm_faster_rcnn"
    sub_configs_defaults = {
        "backbone_config": SubConfigSpec(
            AutoConfig,
            model_type="resnet",
            init_kwargs={"depths": [3, 4, 23], "hidden_sizes": [256, 512, 1024], "out_features": ["stage3"]},
        )
    }

    backbone_config: dict | PreTrainedConfig | None = None
    anchor_sizes: list[int] | tuple[int, ...] = (64, 128, 256, 512)
    anchor_ratios: list[float | int] | tuple[float | int, ...] = (0.5, 1.0, 2.0)
    rpn_hidden_size: int = 512
    rpn_batch_size: int = 256
    rpn_lambda: float | int = 10.0
    pre_nms_proposals: int = 6000
    num_proposals: int = 300
    num_training_proposals: int = 2000
    rpn_overlap: float = 0.7
    region_batch_size: int = 128
    pooling: Literal["align", "max"] = "align"
    pooling_samples: int = 2
    pooled_size: int = 14
    head_layer_type: Literal["bottleneck", "basic"] = "bottleneck"
    head_depth: int = 3
    head_stride: int = 2
    feature_size: int = 2048
    class_agnostic: bool = False
    num_attributes: int = 400
    id2attribute: dict | None = None
    class_embedding_size: int = 256
    attribute_hidden_size: int = 512
    attribute_weight: float | int = 0.5

    def __post_init__(self, **kwargs: Any) -> None:
        if self.id2attribute is None:
            self.id2attribute = {number: f"attribute {number}" for number in range(self.num_attributes)}
        self.id2attribute = {int(number): name for number, name in self.id2attribute.items()}  # JSON has text
        self.num_attributes = len(self.id2attribute)
        super().__post_init__(**kwargs)

    @property
    def num_anchors(self) -> int:
        """A, anchors of a cell."""
        return len(self.anchor_sizes) * len(self.anchor_ratios)

    def validate_architecture(self) -> None:
        """Raise ValueError where a field is out of range or two disagree."""
        if not self.num_anchors:
            raise ValueError("anchor_sizes and anchor_ratios must name one anchor at least")
        for name in ("num_proposals", "num_training_proposals"):
            if not 1 <= getattr(self, name) <= self.pre_nms_proposals:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, not in 1..{self.pre_nms_proposals} (pre_nms_proposals)"
                )
        if self.pooled_size < self.head_stride:
            raise ValueError(
                f"pooled_size is {self.pooled_size} but head_stride is {self.head_stride}: nothing is left"
            )
