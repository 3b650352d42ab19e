"""Configuration of FaceNet and of DeepFace, its forerunner."""

from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

RESNET50_TO_STAGE3 = {"depths": [3, 4, 6], "hidden_sizes": [256, 512, 1024]}  # 1,024 channels, as NN2's last
KINDS = ("convolution", "pool", "local")


@strict
class FacenetConfig(PreTrainedConfig):
    """Configuration of [`FacenetModel`] and [`FacenetForImageClassification`].

    Defaults are FaceNet's (Schroff et al. 2015), but for the backbone: ResNet-50 without its last stage stands in for
    the Inception network NN2, whose last map has the same 1,024 channels.

    Args:
        backbone_config: Any backbone; its last output map is the face.
        pool_size: Cells a side to which that map is averaged before the linear layer; 1 is the mean over places.
        layers: In place of a backbone, layers of DeepFace from the picture on: kind ("convolution", "pool" or "local"),
            channels, kernel and stride of each. The embedding is then rectified, as F7 is.
        image_size: Side of the pictures that `layers` take, which have weights for each place; a backbone takes any.
        num_channels: Of the pictures that `layers` take.
        embedding_size: Width of the embedding.
        batch_normalization: Center and scale the embedding over the batch before it gets unit length, as the released
            reimplementations do: what all faces share then cannot draw all of them together.
        projection_head: Faces are compared by what enters the last layer, which serves the loss alone, as in SimCLR
            (Chen et al. 2020, arXiv 2002.05709, section 4.2).
        num_networks: Trained side by side, each with the loss of its own embeddings; a face is what all say of it, as
            in DeepFace's ensemble (section 4.3 there).
        average_mirrored: Outside training a face is the mean of its embedding and that of its mirror image: a face that
            looks left is then near to one that looks right.
        background_size: Faces of the training set that the model keeps, for a face to be seen against those that are
            most like it, outside training; none by default.
        num_neighbors: How many of them that are.
        centering: The share of their mean that is taken off the face (Hara et al. 2015).
        dropout: On what the classifier reads.
        loss: "triplet" (FaceNet's), or "batch_hard": the soft margin between the farthest picture of the same person
            and the nearest of another (Hermans et al. 2017, arXiv 1703.07737, Eq. 5).
        alpha: Margin of the triplet loss, between squared distances.
        mining: Which negative each pair of the triplet loss meets: a random one of the "semi_hard", a random one of all
            that violate the margin ("random_violating"), or the nearest ("hardest").
    """

    model_type = "hfmm_facenet"
    sub_configs_defaults = {"backbone_config": SubConfigSpec(AutoConfig, "resnet", init_kwargs=RESNET50_TO_STAGE3)}

    backbone_config: dict | PreTrainedConfig | None = None
    pool_size: int = 1
    layers: list | tuple | None = None
    image_size: int = 152
    num_channels: int = 3
    embedding_size: int = 128
    batch_normalization: bool = False
    projection_head: bool = False
    num_networks: int = 1
    average_mirrored: bool = False
    background_size: int = 0
    num_neighbors: int = 10
    centering: float | int = 0.75
    dropout: float | int = 0.0
    loss: Literal["triplet", "batch_hard"] = "triplet"
    alpha: float | int = 0.2
    mining: Literal["semi_hard", "random_violating", "hardest"] = "semi_hard"

    def map_sizes(self) -> list[int]:
        """Side of the map after each of `layers`; pools keep the cells that lie half outside, as 142 gives 71."""
        sides, side = [], self.image_size
        for kind, _, kernel, stride in self.layers or ():
            side = -(-(side - kernel) // stride) + 1 if kind == "pool" else (side - kernel) // stride + 1
            sides.append(side)
        return sides

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        for kind, *_ in self.layers or ():
            if kind not in KINDS:
                raise ValueError(f"layers has a '{kind}': known are {', '.join(KINDS)}")
        if self.layers is not None and self.projection_head:
            raise ValueError("projection_head is of a model with a backbone: DeepFace compares by its last layer")
        if self.layers is not None and self.background_size:
            raise ValueError("background_size is of a model with a backbone: DeepFace has its features' largest values")
        if self.background_size and not 1 <= self.num_neighbors <= self.background_size:
            raise ValueError(f"num_neighbors is {self.num_neighbors}: background_size keeps {self.background_size}")
        if self.num_networks < 1:
            raise ValueError(f"num_networks is {self.num_networks}: a model has at least one")
        if self.layers is not None and min(self.map_sizes(), default=0) < 1:
            raise ValueError(f"image_size is {self.image_size}: nothing is left after {len(self.layers)} layers")
