"""Presets of YOLOS: upstream's default (Base, 512 x 864 pixels), and a small one for pictures of 64 pixels."""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "image_size": [64, 64],
            "patch_size": 8,
            "hidden_size": 128,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "intermediate_size": 384,
            "num_detection_tokens": 12,
            "initializer_range": 0.09,  # about 1 / sqrt(hidden_size)
            "use_mid_position_embeddings": False,
            "auxiliary_loss": False,
            "num_labels": 8,
        },
        "processor": {"image_size": 64, "do_pad": False},
    },
    "paper": {
        "config": {"num_labels": 91},
        "processor": {"image_size": [512, 864], "do_pad": False},
    },
}
