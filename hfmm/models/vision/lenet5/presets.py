"""Presets of LeNet-5: `paper` is the net as the deck prints it, `tiny` a narrow one."""

_PROCESSOR = {"image_size": 32, "image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {"config": {"hidden_sizes": [8, 16], "classifier_hidden_size": 96}, "processor": _PROCESSOR},
    "paper": {"config": {"num_labels": 100}, "processor": _PROCESSOR},
}
