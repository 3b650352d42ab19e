"""Presets of Show and Tell.

`paper` and `im2txt` have their decoders' published sizes; ResNet-50 stands in for GoogLeNet (its first three stages,
1,024 channels) and for Inception-v3 (all of it, 2,048 channels).

`tiny` flattens a small net's last map, as the fully connected layers of the nets of the time did, so that it can tell
places apart. Its gates have biases: without them a small LSTM forgets half of its memory at every word, and the picture
is gone before the first word that needs it (it then takes many times longer to learn anything of the picture).
"""

_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "backbone_config": {
                "model_type": "hfmm_small_cnn",
                "hidden_sizes": [32, 64, 128, 128],
                "num_residual_blocks": 0,
                "normalization": "batch",
            },
            "hidden_size": 256,
            "embedding_size": 128,
            "image_feature_size": 128 * 4 * 4,
            "feature_pooling": "flatten",
            "lstm_bias": True,
            "forget_bias": 4.0,
            "dropout": 0.0,
            "initializer_range": 0.12,
        },
        "processor": {"image_size": 64, **_HALF},
        "generation": {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 48},
    },
    "paper": {
        "config": {
            "backbone_config": {"model_type": "resnet", "depths": [3, 4, 6], "hidden_sizes": [256, 512, 1024]},
            "vocab_size": 10000,
            "image_feature_size": 1024,
        },
        "processor": {"image_size": 224, "min_count": 5, "max_words": 9996, **_IMAGENET},
        "generation": {"num_beams": 20, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 20},
    },
    "im2txt": {
        "config": {
            "backbone_config": {"model_type": "resnet"},
            "vocab_size": 12000,
            "image_feature_size": 2048,
            "lstm_bias": True,
            "lstm_output_tanh": True,
        },
        "processor": {"image_size": 299, "min_count": 4, "max_words": 11996, **_HALF},
        "generation": {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 20},
    },
}
