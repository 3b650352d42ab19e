"""Presets of PMI retrieval; no paper has sizes, so `paper` is what the deck shows: color bins and a bag of words."""

_RAW = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}
_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {"config": {"num_bins": 27, "measure": "ppmi", "threshold": 0.02}, "processor": {"image_size": 64, **_RAW}},
    "paper": {"config": {"num_bins": 27}, "processor": {"image_size": 64, **_RAW}},
    "labels": {
        "config": {
            "picture_features": "labels",
            "vision_config": {"model_type": "hfmm_small_cnn", "num_labels": 64},
            "threshold": 0.5,
            "measure": "ppmi",
        },
        "processor": {"image_size": 64, **_HALF},
    },
    "objects": {
        "config": {
            "picture_features": "objects",
            "vision_config": {
                "model_type": "hfmm_yolo",
                "image_size": 64,
                "layers": [[5, 32, 2], [3, 64, 2], [3, 64, 1], [3, 128, 2], [3, 128, 1], [3, 128, 1], [3, 128, 1]],
                "hidden_size": None,
                "batch_normalization": True,
                "num_labels": 8,
            },
            "threshold": 0.2,
            "measure": "ppmi",
        },
        "processor": {"image_size": 64, **_RAW},
    },
    "codes": {
        "config": {
            "picture_features": "codes",
            "vision_config": {"model_type": "hfmm_small_cnn"},
            "code_size": 96,
            "measure": "ppmi",
        },
        "processor": {"image_size": 64, **_HALF},
    },
}
