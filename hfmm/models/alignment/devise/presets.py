"""Presets of DeViSE: the paper's over AlexNet, and a small one."""

_HALF = (0.5, 0.5, 0.5)

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {"model_type": "hfmm_small_cnn", "hidden_sizes": [24, 48, 96]},
            "image_feature_size": 96,
            "word_size": 32,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {
        "config": {"vocab_size": 155_000, "num_labels": 1000},
        "processor": {"image_size": 227, "image_mean": (0.485, 0.456, 0.406), "image_std": (1.0, 1.0, 1.0)},
    },
}
