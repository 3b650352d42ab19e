"""Presets of Swin: the four of Liu et al. 2021, and a small one for pictures of 64 pixels."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_PROCESSOR: dict = {"image_size": 224, "image_mean": _MEAN, "image_std": _STD}


def _preset(width: int, depths: list[int], heads: list[int]) -> dict[str, dict]:
    config = {"embed_dim": width, "depths": depths, "num_heads": heads, "window_size": 7, "num_labels": 1000}
    return {"config": config, "processor": _PROCESSOR}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "patch_size": 4,
            "embed_dim": 48,
            "depths": [2, 2, 2],
            "num_heads": [2, 4, 8],
            "window_size": 4,
            "initializer_range": 0.1,  # layers this narrow learn slowly from 0.02
            "num_labels": 64,
        },
        "processor": {"image_size": 64, "image_mean": _MEAN, "image_std": _STD},
    },
    "paper": _preset(96, [2, 2, 6, 2], [3, 6, 12, 24]),  # Swin-T
    "small": _preset(96, [2, 2, 18, 2], [3, 6, 12, 24]),
    "base": _preset(128, [2, 2, 18, 2], [4, 8, 16, 32]),
    "large": _preset(192, [2, 2, 18, 2], [6, 12, 24, 48]),
}
