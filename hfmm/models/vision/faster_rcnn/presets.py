"""Presets of Faster R-CNN: bottom-up attention's on Visual Genome, and a small one for pictures of 64 pixels."""

_HALF = (0.5, 0.5, 0.5)

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "backbone_config": {
                "model_type": "hfmm_small_cnn", "hidden_sizes": [32, 64], "num_residual_blocks": 2,
                "normalization": "batch",
            },
            "anchor_sizes": [8, 13, 22],
            "rpn_hidden_size": 64,
            "rpn_batch_size": 64,
            "pre_nms_proposals": 128,
            "num_proposals": 48,
            "num_training_proposals": 48,
            "region_batch_size": 16,
            "pooling_samples": 1,
            "pooled_size": 6,
            "head_layer_type": "basic",
            "head_depth": 1,
            "feature_size": 128,
            "num_labels": 8,
            "num_attributes": 10,
            "class_embedding_size": 16,
            "attribute_hidden_size": 64,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF},
    },
    "paper": {
        "config": {"num_labels": 1600},
        "processor": {"image_size": 600},
    },
}  # fmt: skip
