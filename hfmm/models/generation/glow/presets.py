"""Presets of Glow.

`paper` is the net for CIFAR-10 (table 4), `celeba` that for faces of 256 pixels in 5 bits; `mnist` is for the recipe of
that name; `tiny` takes the built-in digits as they are stored, 8 x 8, in 4 bits of their 17 levels.
"""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "num_channels": 1,
            "image_size": 8,
            "num_levels": 2,
            "depth": 4,
            "hidden_size": 64,
            "num_bits": 4,
        },
        "processor": {"image_size": 8, "do_grayscale": True},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 32},
    },
    "celeba": {
        "config": {"image_size": 256, "num_levels": 6, "coupling": "additive", "num_bits": 5},
        "processor": {"image_size": 256},
    },
    "mnist": {
        "config": {"num_channels": 1, "image_size": 28, "num_levels": 2, "depth": 8, "hidden_size": 64},
        "processor": {"image_size": 28, "do_grayscale": True},
    },
}
