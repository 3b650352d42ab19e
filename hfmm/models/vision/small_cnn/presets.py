"""Presets of the small backbone."""

_HALF = (0.5, 0.5, 0.5)

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"hidden_sizes": [24, 48, 96], "num_residual_blocks": 1},
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
}
