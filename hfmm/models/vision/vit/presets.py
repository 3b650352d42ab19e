"""Presets of the Vision Transformer: the deck's Base, Large and Huge, and a small one for pictures of 64 pixels."""

_HALF = (0.5, 0.5, 0.5)
_LARGE: dict = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_HUGE: dict = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120}
_SQUARE: dict = {"image_size": 224, "image_mean": _HALF, "image_std": _HALF}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "patch_size": 8,
            "hidden_size": 128,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "intermediate_size": 512,
            "num_labels": 64,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {"config": {"num_labels": 1000}, "processor": _SQUARE},  # Base, patches of 16 pixels
    "base_32": {"config": {"patch_size": 32, "num_labels": 1000}, "processor": _SQUARE},
    "large_16": {"config": {**_LARGE, "num_labels": 1000}, "processor": _SQUARE},
    "large_32": {"config": {**_LARGE, "patch_size": 32, "num_labels": 1000}, "processor": _SQUARE},
    "huge_14": {"config": {**_HUGE, "patch_size": 14, "num_labels": 1000}, "processor": _SQUARE},
}
