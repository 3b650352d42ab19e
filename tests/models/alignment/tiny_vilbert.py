"""A ViLBERT of a few units, and pairs for it."""

import torch

from hfmm.models.alignment.vilbert.configuration_vilbert import VilbertConfig
from hfmm.models.alignment.vilbert.modeling_vilbert import VilbertModel
from hfmm.models.vision.small_cnn.configuration_small_cnn import SmallCnnConfig
from tests.testing import seeded

WORDS, FEATURES, CLASSES = 14, 10, 5
SIZES = {
    "region_size": FEATURES,
    "num_region_classes": CLASSES,
    "vocab_size": WORDS,
    "hidden_size": 12,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "visual_hidden_size": 16,
    "visual_num_layers": 2,
    "visual_num_heads": 4,
    "visual_intermediate_size": 18,
    "joint_size": 8,
    "joint_num_heads": 2,
    "text_connections": [2, 3],
    "visual_connections": [0, 1],
    "max_position_embeddings": 12,
    "initializer_range": 0.3,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def config(**overrides):
    return VilbertConfig(**{**SIZES, **overrides})


def grid_config(**overrides):
    backbone = SmallCnnConfig(hidden_sizes=[8, 16])
    return config(regions="grid", vision_config=backbone, region_size=16, **overrides)


def model(kind=VilbertModel, settings=None, seed=0):
    with seeded(seed):
        return kind(settings or config()).eval()


def words():
    """Three of different lengths."""
    input_ids = torch.tensor([[1, 5, 6, 2, 3, 3], [1, 7, 8, 9, 4, 2], [1, 10, 2, 3, 3, 3]])
    return {"input_ids": input_ids, "attention_mask": (input_ids != 3).long()}


def regions(count=3, places=5, seed=0):
    """Regions of pictures, of which the last picture has one less."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, places, 2, 2, generator=generator).sort(2).values.flatten(2)  # B N 4
    area = (corners[..., 2:] - corners[..., :2]).prod(-1, keepdim=True)
    mask = torch.ones(count, places, dtype=torch.long)
    mask[-1, -1] = 0
    return {
        "visual_embeds": torch.randn(count, places, FEATURES, generator=generator),
        "visual_locations": torch.cat([corners, area], -1),
        "visual_attention_mask": mask,
    }


def everything():
    return {**words(), **regions()}


def pictures(count=3, seed=0):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
