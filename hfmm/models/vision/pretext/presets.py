"""Presets of the pretext tasks.

`tiny` is a jigsaw puzzle of 2 x 2 tiles and all their 24 orders, for pictures of 32 pixels; the presets `tiny_...` ask
the same encoder, that of the small backbone's own preset, about pictures of 64 pixels. `paper` (relative position),
`paper_jigsaw` and `paper_inpainting` have the published heads and pictures; the encoder is a ResNet of 18 layers in the
place of AlexNet, and for inpainting five convolutions of stride 2, as published.
"""

_SMALL = {"model_type": "hfmm_small_cnn", "hidden_sizes": [24, 48, 96], "num_residual_blocks": 1}
_TOWERS = {"backbone_config": _SMALL, "tower_size": 128, "head_sizes": [256], "dropout": 0.0}
_NINE_OF_64 = {"image_size": 64, "grid_size": 3, "tile_size": 18, "tile_stride": 21, "jitter": 4}
_PUZZLE = {"task": "jigsaw", "grid_size": 2, "num_permutations": 24}
_LARGE_PUZZLE = {"task": "jigsaw", "grid_size": 3, "num_permutations": 100}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {**_TOWERS, **_PUZZLE},
        "processor": {"image_size": 32, **_PUZZLE, "tile_size": 14, "tile_stride": 16, "jitter": 2},
    },
    "tiny_jigsaw": {
        "config": {**_TOWERS, **_LARGE_PUZZLE},
        "processor": {**_NINE_OF_64, **_LARGE_PUZZLE},
    },
    "tiny_relative_position": {
        "config": {**_TOWERS, "task": "relative_position"},
        "processor": {**_NINE_OF_64, "task": "relative_position"},
    },
    "tiny_same_image": {
        "config": {**_TOWERS, "task": "same_image"},
        "processor": {**_NINE_OF_64, "task": "same_image", "do_normalize_tiles": False},
    },
    "tiny_inpainting": {
        "config": {
            "backbone_config": _SMALL,
            "task": "inpainting",
            "pooled_size": 8,
            "bottleneck_size": 256,
            "decoder_sizes": [128, 64, 32],
        },
        "processor": {"image_size": 64, "task": "inpainting", "hole_size": 32, "do_normalize_tiles": False},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 398},
    },
    "paper_jigsaw": {
        "config": {"task": "jigsaw", "num_permutations": 1000, "tower_size": 1024, "head_sizes": [4096]},
        "processor": {
            "image_size": 256,
            "task": "jigsaw",
            "num_permutations": 1000,
            "tile_size": 64,
            "tile_stride": 75,
            "jitter": 11,
            "color_jitter": 2,
        },
    },
    "paper_inpainting": {
        "config": {
            "backbone_config": {
                "model_type": "hfmm_small_cnn",
                "hidden_sizes": [64, 64, 128, 256, 512],
                "num_residual_blocks": 0,
                "normalization": "batch",
            },
            "task": "inpainting",
            "pooled_size": 4,
            "adversarial_weight": 0.001,
        },
        "processor": {"image_size": 128, "task": "inpainting", "hole_size": 64, "do_normalize_tiles": False},
    },
}
