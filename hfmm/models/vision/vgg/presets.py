"""Presets of VGG: configurations D and E of the paper's Table 1, and a narrow one for pictures of 64 pixels."""

_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_HALF = (0.5, 0.5, 0.5)

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "num_layers": 11,
            "image_size": 64,
            "hidden_sizes": [16, 32, 48, 64, 64],
            "classifier_hidden_size": 128,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {
        "config": {"num_layers": 16, "num_labels": 1000},
        "processor": {"image_size": 224, **_IMAGENET},
    },
    "vgg19": {
        "config": {"num_layers": 19, "num_labels": 1000},
        "processor": {"image_size": 224, **_IMAGENET},
    },
}
