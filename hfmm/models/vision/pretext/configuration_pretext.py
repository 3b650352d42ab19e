"""Configuration of the self-supervised pretext tasks, and the set of permutations of the jigsaw puzzle."""

from functools import lru_cache
from itertools import permutations
from math import factorial
from typing import Any, Literal

import numpy as np
from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

Task = Literal["relative_position", "jigsaw", "same_image", "inpainting"]
NUM_NEIGHBORS = 8  # places around a patch, in reading order: place 7 - k is opposite to place k
RESNET18 = {"depths": [2, 2, 2, 2], "layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}


@lru_cache(maxsize=8)
def maximal_hamming_set(num_tiles: int, size: int) -> tuple[tuple[int, ...], ...]:
    """Permutations that are far from each other, greedily (Noroozi and Favaro 2016, algorithm 1).

    The paper begins with a random one; here it is the identity, so that the set is a function of its sizes. Of equally
    distant ones the first in lexicographic order is taken.

    Args:
        num_tiles: P.
        size: Of the set, at most P factorial.

    Returns:
        `size` permutations of P tiles; the i-th place of one holds the tile that is its i-th number.
    """
    if not 2 <= size <= factorial(num_tiles):
        raise ValueError(f"num_permutations is {size}: of {num_tiles} tiles there are 2 to {factorial(num_tiles)}")
    every = np.array(list(permutations(range(num_tiles))), dtype=np.int8).T.copy()  # P P!
    distance = np.zeros(every.shape[1], dtype=np.int32)  # to all that were chosen
    chosen = [0]
    while len(chosen) < size:
        distance += (every != every[:, chosen[-1:]]).sum(0, dtype=np.int8)
        distance[chosen] = -1  # never again
        chosen.append(int(distance.argmax()))
    return tuple(tuple(every[:, number].tolist()) for number in chosen)


@strict
class PretextConfig(PreTrainedConfig):
    """Configuration of [`PretextModel`] and [`PretextForPreTraining`].

    Defaults are those of relative position (Doersch et al. 2015), on a residual network of 18 layers.

    Args:
        backbone_config: Any backbone; the encoder is its last output map.
        task: What is asked of the encoder.
        grid_size: Cells of the jigsaw puzzle in each direction.
        num_permutations: In how many orders its tiles are shown.
        permutations: These orders; far from each other (`maximal_hamming_set`) by default.
        pooled_size: Height and width to which the map of a tile or picture is pooled before the first linear layer.
        tower_size: Width of that layer, fc6 of the papers.
        head_sizes: Widths of the layers over the concatenated tiles, fc7 and on.
        dropout: After each of those layers.
        contrastive_weight: Same image: of NT-Xent (Chen et al. 2020) over the positive pairs, added to the loss.
        temperature: Of NT-Xent.
        bottleneck_size: Inpainting: width between encoder and decoder.
        decoder_sizes: Inpainting: channels of maps of 4, 8, 16, ... pixels; twice the last is the side of the hole.
        overlap: Inpainting: pixels along the edge of the hole that are painted although they are seen.
        overlap_weight: Of the squared error there.
        adversarial_weight: lambda_adv; lambda_rec is the rest of 1. With 0 there is no discriminator.
    """

    model_type = "hfmm_pretext"
    sub_configs_defaults = {"backbone_config": SubConfigSpec(AutoConfig, "resnet", init_kwargs=RESNET18)}

    backbone_config: dict | PreTrainedConfig | None = None
    task: Task = "relative_position"
    grid_size: int = 3
    num_permutations: int = 100
    permutations: list[Any] | tuple[Any, ...] | None = None
    pooled_size: int = 2
    tower_size: int = 4096
    head_sizes: list[int] | tuple[int, ...] = (4096, 4096)
    dropout: float | int = 0.5
    contrastive_weight: float | int = 0.0
    temperature: float | int = 0.5
    bottleneck_size: int = 4000
    decoder_sizes: list[int] | tuple[int, ...] = (512, 256, 128, 64)
    overlap: int = 4
    overlap_weight: float | int = 10.0
    adversarial_weight: float | int = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        if self.task == "jigsaw" and self.permutations is None:
            self.permutations = maximal_hamming_set(self.grid_size**2, self.num_permutations)
        if self.permutations is not None:
            self.permutations = [list(order) for order in self.permutations]
        super().__post_init__(**kwargs)

    @property
    def num_tiles(self) -> int:
        """P, tiles of a picture that the encoder sees one by one."""
        return {"jigsaw": self.grid_size**2, "inpainting": 1}.get(self.task, 2)

    @property
    def num_options(self) -> int:
        """K, answers to choose from."""
        return len(self.permutations or ()) if self.task == "jigsaw" else NUM_NEIGHBORS

    @property
    def hole_size(self) -> int:
        """Side of the square that the decoder paints."""
        return 4 << len(self.decoder_sizes)

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        tiles = list(range(self.grid_size**2))
        for order in self.permutations or ():
            if sorted(order) != tiles:
                raise ValueError(f"permutations has {order}, which is no order of {len(tiles)} tiles (grid_size)")
        if self.permutations is not None and len(self.permutations) != self.num_permutations:
            raise ValueError(
                f"num_permutations is {self.num_permutations} but permutations has {len(self.permutations)}"
            )
        if not 0 <= self.adversarial_weight < 1:
            raise ValueError(f"adversarial_weight is {self.adversarial_weight}: lambda_rec is the rest of 1")
        if not self.decoder_sizes or 2 * self.overlap >= self.hole_size:
            raise ValueError(f"overlap is {self.overlap}: nothing of a hole of {self.hole_size} pixels would be hidden")
