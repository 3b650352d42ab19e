"""Presets of GoogLeNet. FILL: where the sizes of `paper` stand in the paper."""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"hidden_size": 32},
        "processor": {"image_size": 64},
    },
    "paper": {
        "config": {"hidden_size": 512},
        "processor": {"image_size": 224},
    },
}
