"""Presets of the GAN.

`paper` is the DCGAN of its authors' code, `dcgan` the wider generator of the paper's figure 1 (1,024 channels);
`linear` is the net of 2014 for MNIST; `mnist` is for the recipe of that name, `cifar10` the paper's widths for 32
pixels, `small` half of them; `tiny` takes the built-in digits as they are stored, 8 x 8.
"""

_GRAY = {"do_grayscale": True}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "num_channels": 1,
            "image_size": 8,
            "start_size": 2,
            "latent_size": 16,
            "generator_size": 32,
            "discriminator_size": 32,
        },
        "processor": {"image_size": 8, **_GRAY},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 64},
    },
    "dcgan": {
        "config": {"generator_size": 128, "latent_distribution": "uniform"},
        "processor": {"image_size": 64},
    },
    "linear": {
        "config": {
            "num_channels": 1,
            "image_size": 28,
            "layer_type": "linear",
            "latent_distribution": "uniform",
            "generator_size": 1200,
            "discriminator_size": 240,
        },
        "processor": {"image_size": 28, **_GRAY},
    },
    "mnist": {
        "config": {
            "num_channels": 1,
            "image_size": 32,
            "latent_size": 64,
            "generator_size": 32,
            "discriminator_size": 32,
        },
        "processor": {"image_size": 32, **_GRAY},
    },
    "small": {
        "config": {"image_size": 32, "latent_size": 64, "generator_size": 32, "discriminator_size": 32},
        "processor": {"image_size": 32},
    },
    "cifar10": {
        "config": {"image_size": 32},
        "processor": {"image_size": 32},
    },
}
