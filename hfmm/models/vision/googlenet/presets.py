"""Presets of GoogLeNet: the paper's net, torchvision's variant, and a thin one for pictures of 64 pixels."""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "stem_sizes": [16, 16, 32],
            "inceptions": {  # about an eighth of the paper's
                "3a": [8, 12, 16, 4, 8, 8],
                "3b": [16, 16, 24, 4, 12, 8],
                "4a": [24, 12, 28, 4, 8, 8],
                "4b": [20, 16, 28, 4, 8, 8],
                "4c": [16, 16, 32, 4, 8, 8],
                "4d": [16, 20, 36, 4, 8, 8],
                "4e": [32, 20, 40, 4, 16, 16],
                "5a": [32, 20, 40, 4, 16, 16],
                "5b": [48, 24, 48, 8, 16, 16],
            },
            "normalization": "batch",
            "dropout": 0.1,
            "auxiliary_heads": False,
        },
        "processor": {"image_size": 64, **_HALF},
    },
    "paper": {
        "config": {"num_labels": 1000},
        "processor": {"image_size": 224, "image_mean": (0.485, 0.456, 0.406), "image_std": (1.0, 1.0, 1.0)},
    },
    "torchvision": {
        "config": {
            "normalization": "batch",
            "wide_kernel_size": 3,
            "last_pool_size": 2,
            "dropout": 0.2,
            "auxiliary_heads": False,
            "num_labels": 1000,
        },
        "processor": {"image_size": 224, **_HALF},
    },
}
