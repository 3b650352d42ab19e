"""Presets of U-Net: figure 1 of the paper, and a narrow one for pictures of 64 pixels."""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "num_channels": 3,
            "hidden_size": 16,
            "depth": 3,
            "padding": "same",
            "dropout": 0.0,
            "batch_normalization": True,
            "num_labels": 9,
        },
        "processor": {"image_size": 64, "image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)},
    },
    "paper": {
        "config": {"num_labels": 2},
        "processor": {"image_size": 388, "margin": 92, "do_grayscale": True, "image_mean": 0.5, "image_std": 0.5},
    },
}
