"""Presets of the variational autoencoder.

`paper` is the net of section 5 (784-500, tanh) with 20 latents, one of the paper's five sizes; `mnist` is deeper, for
the recipe of that name; `convolution` is for color pictures of 64 pixels; `tiny` takes the built-in digits as they are
stored, 8 x 8.
"""

_BINARY = {"do_grayscale": True, "do_binarize": True}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 8,
            "hidden_sizes": [128],
            "latent_size": 8,
            "activation": "relu",
            "initializer_range": None,
        },
        "processor": {"image_size": 8, **_BINARY},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 28, **_BINARY},
    },
    "mnist": {
        "config": {
            "hidden_sizes": [500, 500],
            "latent_size": 40,
            "activation": "relu",
            "initializer_range": None,
        },
        "processor": {"image_size": 28, **_BINARY},
    },
    "convolution": {
        "config": {
            "num_channels": 3,
            "image_size": 64,
            "layer_type": "convolution",
            "hidden_sizes": [32, 64, 128, 256],
            "activation": "relu",
            "latent_size": 128,
            "likelihood": "gaussian",
            "initializer_range": None,
        },
        "processor": {"image_size": 64},
    },
}
