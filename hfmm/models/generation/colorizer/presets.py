"""Presets of the colorizer: the paper's, and a small one with coarser bins for pictures of 64 pixels.

`regression` is the small one as the baseline that paints the mean color.
"""

_SMALL = {
    "hidden_sizes": [32, 64, 64, 64],
    "num_layers": [1, 1, 1, 1],
    "strides": [2, 2, 2, 1],
    "dilations": [1, 1, 1, 2],
    "decoder_size": 64,
    "grid_size": 20,
    "neighbor_width": 10,
}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": dict(_SMALL),
        "processor": {"image_size": 64},
    },
    "regression": {
        "config": {**_SMALL, "target": "mean"},
        "processor": {"image_size": 64},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 224},
    },
}
