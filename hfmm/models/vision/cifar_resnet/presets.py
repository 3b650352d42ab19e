"""Presets of the ResNets of small pictures: those of He et al. 2016, table 6, and one that learns in few epochs."""

_CIFAR = {"image_size": 32, "image_mean": (0.4914, 0.4822, 0.4465), "image_std": (0.2470, 0.2435, 0.2616)}


def _of_table_6(units: int) -> dict[str, dict]:
    return {"config": {"depths": [units] * 3, "num_labels": 10}, "processor": _CIFAR}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "stem": "whitening",
            "hidden_sizes": [64, 256, 256],
            "depths": [1, 1, 1],
            "downsampling": "max_pool",
            "downsample_in_first_stage": True,
            "hidden_act": "gelu",
            "bias_scale": 8.0,
            "logit_scale": 1 / 9,
            "num_labels": 10,
        },
        "processor": _CIFAR,
    },
    "paper": _of_table_6(3),  # 20 layers
    "layers_32": _of_table_6(5),
    "layers_44": _of_table_6(7),
    "layers_56": _of_table_6(9),
    "layers_110": _of_table_6(18),
}
