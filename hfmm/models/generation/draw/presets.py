"""Presets of DRAW.

`paper`, `svhn` and `cifar10` are the rows of table 3; `no_attention` is the paper's net for MNIST that reads and draws
whole pictures; `mnist` and `mnist_no_attention` draw in fewer steps, for the recipes of their names; `tiny` takes the
built-in digits as they are stored, 8 x 8.
"""

_BINARY = {"do_grayscale": True, "do_binarize": True}
_WHOLE = {"read_size": None, "write_size": None}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 8,
            "num_glimpses": 8,
            "encoder_hidden_size": 64,
            "decoder_hidden_size": 64,
            "latent_size": 8,
            "read_size": 3,
            "write_size": 3,
            "initial_log_variance": -1.0,
            "initial_read_log_stride": -0.5,
        },
        "processor": {"image_size": 8, **_BINARY},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 28, **_BINARY},
    },
    "no_attention": {
        "config": _WHOLE,
        "processor": {"image_size": 28, **_BINARY},
    },
    "mnist": {
        "config": {"num_glimpses": 16, "read_size": 5, "latent_size": 32},
        "processor": {"image_size": 28, **_BINARY},
    },
    "mnist_no_attention": {
        "config": {"num_glimpses": 10, "latent_size": 32, **_WHOLE},
        "processor": {"image_size": 28, **_BINARY},
    },
    "svhn": {
        "config": {
            "num_channels": 3,
            "image_size": 54,
            "num_glimpses": 32,
            "encoder_hidden_size": 800,
            "decoder_hidden_size": 800,
            "read_size": 12,
            "write_size": 12,
        },
        "processor": {"image_size": 54},
    },
    "cifar10": {
        "config": {
            "num_channels": 3,
            "image_size": 32,
            "encoder_hidden_size": 400,
            "decoder_hidden_size": 400,
            "latent_size": 200,
            "read_size": 5,
        },
        "processor": {"image_size": 32},
    },
}
