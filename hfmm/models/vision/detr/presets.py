"""Presets of DETR: that of Carion et al. 2020 over ResNet-50, and a small one for pictures of 64 pixels.

Upstream's default backbone comes from timm; here it is transformers' own ResNet.
"""

_SMALL = {
    "model_type": "resnet",
    "layer_type": "basic",
    "embedding_size": 32,
    "hidden_sizes": [48, 96],
    "depths": [1, 1],
    "out_features": ["stage2"],
}

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "backbone_config": _SMALL,
            "d_model": 96,
            "encoder_layers": 2,
            "decoder_layers": 3,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 256,
            "decoder_ffn_dim": 256,
            "num_queries": 12,
            "init_std": 0.1,  # about 1 / sqrt(d_model): with 0.02 the queries are nearly one
            "dropout": 0.0,
            "auxiliary_loss": True,
            "num_labels": 8,
        },
        "processor": {"image_size": 64, "do_pad": False},
    },
    "paper": {
        "config": {"backbone_config": {"model_type": "resnet", "out_features": ["stage4"]}, "num_labels": 91},
        "processor": {"image_size": 800, "do_pad": False},
    },
}
