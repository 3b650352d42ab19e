"""Presets of image-sentence ranking.

`paper` is order embeddings with the layer-normalized GRU, `order_embeddings` the baseline without the norm, and
`visual_semantic` the older cosine ranking (Kiros et al. 2014, arXiv 1411.2539); VGG-19's fc7 is the picture of all
three. `tiny` flattens a small net's last map, as the fully connected layers of VGG do, so that places stay
apart.
"""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
# VGG's own preprocessing: pixels of 0 to 255 less the mean of ImageNet, in RGB order
_VGG = {"image_mean": (0.48502, 0.45796, 0.40760), "image_std": (1 / 255, 1 / 255, 1 / 255)}
_FC7 = {
    "vision_config": {"model_type": "hfmm_vgg", "num_layers": 19},
    "image_pool_size": 2,
    "image_map_size": 512 * 7 * 7,
    "image_layers": [4096, 4096],
}
_LARGE = {"image_size": 224, **_VGG}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {
                "model_type": "hfmm_small_cnn",
                "hidden_sizes": [32, 64, 128, 128],
                "num_residual_blocks": 0,
                "normalization": "batch",
            },
            "image_pool_size": 1,
            "image_map_size": 128 * 4 * 4,
            "image_layers": [512],
            "word_size": 64,
            "hidden_size": 256,
        },
        "processor": {"image_size": 64, **_HALF},
    },
    "paper": {"config": _FC7, "processor": _LARGE},
    "order_embeddings": {"config": {**_FC7, "layer_norm": "none"}, "processor": _LARGE},
    "visual_semantic": {
        "config": {**_FC7, "layer_norm": "none", "similarity": "cosine", "margin": 0.2},
        "processor": _LARGE,
    },
}
