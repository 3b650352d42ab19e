"""Presets of the autoencoder.

`paper` is the net of Hinton and Salakhutdinov for MNIST; `convolution` is the deck's, for MNIST; `tiny` is the same for
the built-in digits, of 16 pixels; `seven_bits` is the deck's thought experiment: seven bits that only have to tell
which digit it was; `seven_bits_mnist` takes pictures of 28 pixels.
"""

_GRAY = {"do_grayscale": True}
_CONVOLUTION = {"layer_type": "convolution", "activation": "relu"}
_SEVEN_BITS = {
    "hidden_sizes": [128],
    "activation": "relu",
    "latent_size": 7,
    "latent_type": "binary",
    "reads_classes": True,
    "num_labels": 10,
}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"image_size": 16, "hidden_sizes": [16, 32], "latent_size": 8, **_CONVOLUTION},
        "processor": {"image_size": 16, **_GRAY},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 28, **_GRAY},
    },
    "convolution": {
        "config": {"hidden_sizes": [32, 64], "latent_size": 16, **_CONVOLUTION},
        "processor": {"image_size": 28, **_GRAY},
    },
    "seven_bits": {
        "config": {"image_size": 16, **_SEVEN_BITS},
        "processor": {"image_size": 16, **_GRAY},
    },
    "seven_bits_mnist": {
        "config": {**_SEVEN_BITS, "hidden_sizes": [256]},
        "processor": {"image_size": 28, **_GRAY},
    },
}
