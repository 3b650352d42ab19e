"""Presets of AlexNet: the paper's two layouts, torchvision's, and a narrow one for pictures of 64 pixels."""

_HALF = (0.5, 0.5, 0.5)
_MEAN = {"image_mean": (0.485, 0.456, 0.406)}  # of ImageNet, which the paper subtracts; it does not divide
_PAPER = {"image_size": 227, **_MEAN, "image_std": (1.0, 1.0, 1.0)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "stem_kernel_size": 7,
            "stem_stride": 2,
            "stem_padding": 2,
            "hidden_sizes": [32, 64, 96, 96, 64],
            "classifier_hidden_size": 256,
            "initializer_range": 0.05,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {
        "config": {"num_labels": 1000},
        "processor": _PAPER,
    },
    "one_gpu": {
        "config": {"num_groups": 1, "num_labels": 1000},
        "processor": _PAPER,
    },
    "one_weird_trick": {
        "config": {
            "image_size": 224,
            "stem_padding": 2,
            "hidden_sizes": [64, 192, 384, 256, 256],
            "num_groups": 1,
            "local_response_normalization": False,
            "num_labels": 1000,
        },
        "processor": {"image_size": 224, **_MEAN, "image_std": (0.229, 0.224, 0.225)},
    },
}
