"""Presets of FaceNet (section 3.3 and table 1), of DeepFace (figure 2), and a small one for pictures of 64 pixels."""

_HALF = (0.5, 0.5, 0.5)
_DEEPFACE = [  # kind, channels, kernel, stride: C1, M2, C3, L4, L5, L6
    ["convolution", 32, 11, 1],
    ["pool", 32, 3, 2],
    ["convolution", 16, 9, 1],
    ["local", 16, 9, 1],
    ["local", 16, 7, 2],
    ["local", 16, 5, 1],
]

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "backbone_config": {
                "model_type": "hfmm_small_cnn",
                "hidden_sizes": [16, 32, 64],
                "num_residual_blocks": 1,
            },
            "pool_size": 4,
            "embedding_size": 64,
            "batch_normalization": True,
            "projection_head": True,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {
        "config": {
            "backbone_config": {"model_type": "resnet", "depths": [3, 4, 6], "hidden_sizes": [256, 512, 1024]},
        },
        "processor": {"image_size": 224, "image_mean": _HALF, "image_std": _HALF},
    },
    "deepface": {
        "config": {"layers": _DEEPFACE, "image_size": 152, "embedding_size": 4096, "dropout": 0.5, "num_labels": 4030},
        "processor": {"image_size": 152, "image_mean": _HALF, "image_std": _HALF},
    },
}
