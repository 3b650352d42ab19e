"""Presets of ViLBERT: the released base model over given regions, and two small ones.

`tiny` takes the cells of a small net's last map as regions, so that it needs nothing but pictures and texts.
`tiny_detected` takes those of a Faster R-CNN of its preset `tiny`, trained before (`init_from`), as the paper does.
"""

_HALF = (0.5, 0.5, 0.5)
_PROCESSOR = {"image_size": 64, "image_mean": _HALF, "image_std": _HALF, "max_length": 48}
_SMALL = {
    "region_size": 128,
    "num_region_classes": 9,
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "visual_hidden_size": 96,
    "visual_num_layers": 1,
    "visual_num_heads": 4,
    "visual_intermediate_size": 192,
    "joint_size": 96,
    "joint_num_heads": 4,
    "text_connections": [2],
    "visual_connections": [0],
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 48,
    "initializer_range": 0.1,
}
_BACKBONE = {
    "model_type": "hfmm_small_cnn",
    "hidden_sizes": [32, 64, 128, 128],
    "num_residual_blocks": 0,
    "normalization": "batch",
}
_DETECTOR = {
    "model_type": "hfmm_faster_rcnn",
    "backbone_config": {
        "model_type": "hfmm_small_cnn", "hidden_sizes": [32, 64], "num_residual_blocks": 2, "normalization": "batch",
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
}  # fmt: skip

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {"config": {**_SMALL, "regions": "grid", "vision_config": _BACKBONE}, "processor": _PROCESSOR},
    "tiny_detected": {
        "config": {**_SMALL, "regions": "detected", "vision_config": _DETECTOR, "num_regions": 8},
        "processor": _PROCESSOR,
    },
    "paper": {"config": {"vocab_size": 30522}, "processor": {"image_size": 224, "max_words": 30517}},
}
