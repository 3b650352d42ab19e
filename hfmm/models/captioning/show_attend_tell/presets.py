"""Presets of Show, Attend and Tell.

`tiny` has soft attention over the 8 x 8 places of a small net, `hard` the same with hard attention. `paper` has the
sizes that the authors' code uses for COCO and the linear deep output of the paper's Eq. 7; `arctic_coco` adds the tanh
of that code. Beams are those of the authors' generator.
"""

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
# VGG's own preprocessing: pixels of 0 to 255 less the mean of ImageNet, in RGB order
_VGG = {"image_mean": (0.48502, 0.45796, 0.40760), "image_std": (1 / 255, 1 / 255, 1 / 255)}

_TINY = {
    "backbone_config": {"model_type": "hfmm_small_cnn", "hidden_sizes": [24, 48, 96], "position_size": 8},
    "embedding_size": 96,
    "hidden_size": 192,
    "annotation_size": 96,
    "attention_size": 64,
    "attention_layers": 1,
    "init_layers": 1,
    "doubly_stochastic_lambda": 0.0,
    "dropout": 0.0,
    "initializer_range": 0.15,
}
_PAPER = {
    "backbone_config": {"model_type": "hfmm_vgg", "num_layers": 19, "out_features": ["stage5"]},
    "vocab_size": 10000,
}

_SMALL = {
    "processor": {"image_size": 64, **_HALF},
    "generation": {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 48},
}
_LARGE = {
    "processor": {"image_size": 224, "max_words": 9996, **_VGG},
    "generation": {"num_beams": 5, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 30},
}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {"config": _TINY, **_SMALL},
    "hard": {"config": {**_TINY, "attention_type": "hard"}, **_SMALL},
    "paper": {"config": _PAPER, **_LARGE},
    "arctic_coco": {"config": {**_PAPER, "deep_output_activation": "tanh"}, **_LARGE},
}
