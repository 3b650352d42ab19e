"""Small models that embed, with random weights."""

import torch
from torch import nn
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor, PreTrainedConfig, PreTrainedModel

from hfmm import catalogue
from hfmm.data import scenes
from hfmm.loading import Loaded
from hfmm.nn.caption_processing import word_tokenizer
from hfmm.retrieval.index import embeddings

WIDTH, LONGEST, SIDE = 12, 64, 32
BOTH = ("images", "captions")
DATA = {"spec": "scenes", "split": "test"}  # what tests index
COUNT = 40  # of them


def clip(seed=0, width=WIDTH):
    """Upstream's CLIP over the words of the scenes."""
    torch.manual_seed(seed)
    tokenizer = word_tokenizer(scenes.vocabulary())
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    config = CLIPConfig(
        text_config={**sizes, **special, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST},
        vision_config={**sizes, "image_size": SIDE, "patch_size": 16},
        projection_dim=width,
    )
    size = {"height": SIDE, "width": SIDE}
    pictures = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size)
    return CLIPModel(config).eval(), CLIPProcessor(pictures, tokenizer)


def loaded(model, processor, where="runs/clip", name="clip"):
    return Loaded(model, processor, catalogue.find(name), where)


class OrderModel(nn.Module):
    """Embeddings of CLIP, and the penalty of order embeddings, learned in part: asymmetric, and no cosine."""

    def score(self, image_embeds, text_embeds):
        penalties = (text_embeds[None] - image_embeds[:, None]).clamp(min=0).square().sum(-1)
        return -self.logit_scale * penalties


def order(seed=0):
    """CLIP's towers with a score of their own."""
    model, processor = clip(seed)
    kind = type("Order", (OrderModel, type(model)), {})
    model.__class__ = kind
    return model, processor


class Letters(PreTrainedModel):
    """Scores a pair by the mean of the picture and the words of the text."""

    config_class = PreTrainedConfig

    def __init__(self):
        super().__init__(PreTrainedConfig())
        self.weight = nn.Parameter(torch.ones(()))

    def score_pairs(self, pixel_values, input_ids, attention_mask):
        return self.weight * pixel_values.mean((1, 2, 3)) * (input_ids * attention_mask).sum(1).float().sin()


def pairs():
    """A model that takes pairs."""
    return Letters().eval(), clip()[1]


def whole(index, part):
    """All embeddings of a part."""
    return torch.cat(list(embeddings(index.part(part))))
