"""Presets of ViLT: the published ViT-B/32, and a small one for pictures of 64 pixels.

The small one's weights begin wider than upstream's 0.02, near one over the root of the width: narrow layers that begin
there learn nothing for long.
"""

PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "hidden_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 192,
            "image_size": 64,
            "patch_size": 8,
            "max_position_embeddings": 48,
            "initializer_range": 0.1,
        },
        "processor": {"image_size": 64, "size_divisor": 8, "max_length": 48},
    },
    "paper": {"config": {}, "processor": {"image_size": 384, "vocab_size": 30522}},
}
