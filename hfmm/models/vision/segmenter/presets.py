"""Presets of Segmenter: Seg-L-Mask/16 and Seg-B/16 of the paper's tables, and a small one for pictures of 64 pixels."""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_SMALL = {
    "model_type": "vit",
    "image_size": 64,
    "patch_size": 4,
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 384,
    "initializer_range": 0.1,  # about 1 / sqrt(hidden_size): layers this narrow learn slowly from ViT's 0.02
}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"encoder_config": _SMALL, "num_decoder_layers": 1, "num_labels": 9},
        "processor": {"image_size": 64, **_HALF},
    },
    "paper": {
        "config": {"num_labels": 150},
        "processor": {"image_size": 640, **_HALF},
    },
    "linear": {
        "config": {"encoder_config": {"model_type": "vit", "image_size": 512}, "decoder": "linear", "num_labels": 150},
        "processor": {"image_size": 512, **_HALF},
    },
}
