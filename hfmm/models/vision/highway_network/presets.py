"""Presets of highway networks: the dense nets of the paper's experiment on depth, and one of convolutions."""

_DIGITS = {"image_size": 28, "image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"image_size": 8, "hidden_sizes": [50], "depths": [20], "transform_bias": -2.0},
        "processor": {**_DIGITS, "image_size": 8},
    },
    "paper": {"config": {"num_labels": 10}, "processor": _DIGITS},
    "plain": {"config": {"hidden_sizes": [71], "gated": False, "num_labels": 10}, "processor": _DIGITS},
    "cifar": {
        "config": {"form": "convolution", "hidden_sizes": [32, 64, 128], "depths": [6, 6, 6], "num_labels": 10},
        "processor": {**_DIGITS, "image_size": 32},
    },
}
