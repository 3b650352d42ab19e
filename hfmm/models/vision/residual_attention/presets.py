"""Presets of the residual attention network: Attention-56 and -92 of table 2, one for CIFAR, and a narrow one."""

_IMAGENET = {"image_size": 224, "image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "stem_size": 16,
            "hidden_sizes": [32, 64, 128],
            "strides": [1, 2, 2],
            "num_modules": [1, 1],
            "num_poolings": [2, 1],
            "last_depth": 1,
        },
        "processor": {"image_size": 64, **_HALF},
    },
    "paper": {"config": {"num_labels": 1000}, "processor": _IMAGENET},
    "attention92": {"config": {"num_modules": [1, 2, 3], "num_labels": 1000}, "processor": _IMAGENET},
    "cifar": {
        "config": {
            "large_stem": False,
            "stem_size": 16,
            "hidden_sizes": [64, 128, 256, 512],
            "strides": [1, 2, 2, 1],
            "num_poolings": [2, 1, 0],
            "num_labels": 10,
        },
        "processor": {"image_size": 32, **_HALF},
    },
}
