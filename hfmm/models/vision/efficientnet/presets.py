"""Presets of EfficientNet: B0 to B7 and L2 of Tan and Le 2019, and a small one for pictures of 64 pixels.

The scaling of depth, width and resolution is a table, since the released networks round what d = 1.2^phi, w = 1.1^phi
and r = 1.15^phi give. transformers' default configuration is B7.
"""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_SCALES = {  # width, depth, picture side, width of the last convolution, dropout
    "paper": (1.0, 1.0, 224, 1280, 0.2),  # B0
    "b1": (1.0, 1.1, 240, 1280, 0.2),
    "b2": (1.1, 1.2, 260, 1408, 0.3),
    "b3": (1.2, 1.4, 300, 1536, 0.3),
    "b4": (1.4, 1.8, 380, 1792, 0.4),
    "b5": (1.6, 2.2, 456, 2048, 0.4),
    "b6": (1.8, 2.6, 528, 2304, 0.5),
    "b7": (2.0, 3.1, 600, 2560, 0.5),
    "l2": (4.3, 5.3, 800, 5504, 0.5),
}


def _scaled(width: float, depth: float, side: int, hidden: int, dropout: float) -> dict[str, dict]:
    config = {
        "width_coefficient": width,
        "depth_coefficient": depth,
        "image_size": side,
        "hidden_dim": hidden,
        "dropout_rate": dropout,
        "num_labels": 1000,
    }
    return {"config": config, "processor": {"image_size": side, "image_mean": _MEAN, "image_std": _STD}}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": 64,
            "width_coefficient": 0.5,
            "depth_coefficient": 0.4,
            "hidden_dim": 640,
            "dropout_rate": 0.1,
            "initializer_range": 0.2,  # upstream's 0.02 leaves depthwise maps below the normalization's epsilon
            "batch_norm_momentum": 0.1,  # upstream's 0.99 is TensorFlow's, and forgets all but the last batch
            "num_labels": 64,
        },
        "processor": {"image_size": 64, "image_mean": _MEAN, "image_std": _STD},
    },
    **{name: _scaled(*scale) for name, scale in _SCALES.items()},
}
