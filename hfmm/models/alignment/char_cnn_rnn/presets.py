"""Presets of the structured joint embedding.

`paper` is the released text encoder for birds (1,814,144 parameters), `gan` the one that GAN-CLS and StackGAN take,
longer and gated (4,045,184), `word` the word-level variant and `bag_of_words` the baseline; GoogLeNet's pooled features
are the picture of all four. `tiny` is gated, too, and flattens a small net's last map so that it can tell places apart.
"""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_GOOGLENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (1.0, 1.0, 1.0)}
_CHARACTERS = {"image_size": 224, "level": "character", "max_length": 201, **_GOOGLENET}
_WORDS = {"image_size": 224, "level": "word", "max_length": 30, "max_words": 8652, **_GOOGLENET}
_OF_WORDS = {"vocab_size": 8656, "max_length": 30, "pad_token_id": 3}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {
                "model_type": "hfmm_small_cnn",
                "hidden_sizes": [32, 64, 128, 128],
                "num_residual_blocks": 0,
                "normalization": "batch",
            },
            "image_pooling": "flatten",
            "image_map_size": 128 * 4 * 4,
            "image_layers": [512],
            "project_image": True,
            "vocab_size": 72,
            "conv_channels": [96, 128, 192],
            "pool_strides": [3, 3],
            "cell": "gru",
            "projection_size": 192,
        },
        "processor": {"image_size": 64, "level": "character", "max_length": 201, **_HALF},
    },
    "paper": {"config": {"vocab_size": 72}, "processor": _CHARACTERS},
    "gan": {
        "config": {"vocab_size": 72, "conv_channels": [384, 512, 512], "pool_strides": [3, 3], "cell": "gru"},
        "processor": _CHARACTERS,
    },
    "word": {
        "config": {**_OF_WORDS, "reads": "words", "conv_kernel_size": 3, "pool_strides": [2, 2]},
        "processor": _WORDS,
    },
    "bag_of_words": {"config": {**_OF_WORDS, "reads": "bag_of_words"}, "processor": _WORDS},
}
