"""Presets of the Conditional Gated PixelCNN.

`paper` is the net for ImageNet (section 3.2: 20 layers, 384 maps, 5 x 5) with our layout of the kernels; `mnist` is for
the recipe of that name; `cifar10` is for color pictures of 32 pixels; `tiny` takes the built-in digits as they are
stored, 8 x 8.
"""

_BINARY = {"do_grayscale": True, "do_binarize": True}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {"image_size": 8, "num_layers": 5, "first_kernel_size": 5},
        "processor": {"image_size": 8, **_BINARY},
    },
    "paper": {
        "config": {
            "num_channels": 3,
            "image_size": 32,
            "num_levels": 256,
            "hidden_size": 384,
            "num_layers": 20,
            "kernel_size": 5,
            "head_size": 1024,
        },
        "processor": {"image_size": 32},
    },
    "mnist": {
        "config": {"num_layers": 6, "kernel_size": 7},  # six layers of kernel 3 see eight rows up, these eighteen
        "processor": {"image_size": 28, **_BINARY},
    },
    "cifar10": {
        "config": {"num_channels": 3, "image_size": 32, "num_levels": 256, "hidden_size": 126, "head_size": 126},
        "processor": {"image_size": 32},
    },
}
