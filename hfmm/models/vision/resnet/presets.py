"""Presets of ResNet: those of He et al. 2016, table 1, and a small one for pictures of 64 pixels."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_BASIC: dict = {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512], "num_labels": 1000}
_BOTTLENECK: dict = {"hidden_sizes": [256, 512, 1024, 2048], "downsample_in_bottleneck": True, "num_labels": 1000}
_PROCESSOR: dict = {"image_size": 224, "image_mean": _MEAN, "image_std": _STD}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "layer_type": "basic",
            "embedding_size": 64,
            "hidden_sizes": [64, 128, 256],
            "depths": [2, 2, 2],
            "num_labels": 64,
        },
        "processor": {"image_size": 64, "image_mean": _MEAN, "image_std": _STD},
    },
    "paper": {"config": {**_BOTTLENECK, "depths": [3, 8, 36, 3]}, "processor": _PROCESSOR},  # 152 layers
    "resnet_101": {"config": {**_BOTTLENECK, "depths": [3, 4, 23, 3]}, "processor": _PROCESSOR},
    "resnet_50": {"config": {**_BOTTLENECK, "depths": [3, 4, 6, 3]}, "processor": _PROCESSOR},
    "resnet_34": {"config": {**_BASIC, "depths": [3, 4, 6, 3]}, "processor": _PROCESSOR},
    "resnet_18": {"config": {**_BASIC, "depths": [2, 2, 2, 2]}, "processor": _PROCESSOR},
}
