"""Small random models of each kind that the vision app shows."""

import torch
import transformers

import hfmm

TOWER = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PATCHES = {"image_size": 64, "patch_size": 16}
SQUARE = {"height": 64, "width": 64}
SEGFORMER = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [8, 8],
    "patch_sizes": [3, 3],
    "strides": [2, 2],
    "num_attention_heads": [1, 1],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 8,
}


def save(root):
    """A folder each under `root`: lenet5, vit, yolo, segformer and clip_vision_model."""
    torch.manual_seed(0)
    for name in ("lenet5", "yolo"):
        hfmm.create_model(name).save_pretrained(root / name)
        hfmm.create_processor(name).save_pretrained(root / name)
    vit = transformers.ViTConfig(num_labels=6, **TOWER, **PATCHES)
    clip = transformers.CLIPVisionConfig(**TOWER, **PATCHES)
    for model in (
        transformers.ViTForImageClassification(vit),
        transformers.CLIPVisionModel(clip),
        transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=4, **SEGFORMER)),
    ):
        model.save_pretrained(root / model.config.model_type)
        reader = transformers.SegformerImageProcessorPil if "Semantic" in type(model).__name__ else None
        (reader or transformers.ViTImageProcessorPil)(size=SQUARE).save_pretrained(root / model.config.model_type)
