"""Presets of SETR: T-Large with each decoder of the paper, and a small one for pictures of 64 pixels."""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_SMALL = {
    "model_type": "vit",
    "image_size": 64,
    "patch_size": 8,
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 384,
}
_PAPER_PROCESSOR = {"image_size": 512, **_HALF}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "encoder_config": _SMALL,
            "decoder_hidden_size": 48,
            "mla_layers": [1, 2, 3, 4],
            "auxiliary_layers": [2, 3],
            "num_labels": 9,
        },
        "processor": {"image_size": 64, **_HALF},
    },
    "paper": {"config": {"num_labels": 150}, "processor": _PAPER_PROCESSOR},
    "naive": {"config": {"decoder": "naive", "num_labels": 150}, "processor": _PAPER_PROCESSOR},
    "mla": {"config": {"decoder": "mla", "num_labels": 150}, "processor": _PAPER_PROCESSOR},
}
