"""Presets of YOLO: figure 3 of the paper, and a narrow one for pictures of 64 pixels."""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "layers": [[5, 32, 2], [3, 64, 2], [3, 64, 1], [3, 128, 2], [3, 128, 1], [3, 128, 1], [3, 128, 1]],
            "hidden_size": None,
            "batch_normalization": True,
            "num_labels": 8,
        },
        "processor": {"image_size": 64, "do_normalize": False},
    },
    "paper": {
        "config": {"num_labels": 20},
        "processor": {"image_size": 448, "do_normalize": False},
    },
}
