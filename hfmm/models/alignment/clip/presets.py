"""Presets of CLIP: the published sizes with a ViT tower (those with a ResNet are of `clip_towers`), and a small one.

The small one is for pictures of 64 pixels and the sentences of the scenes' grammar.
"""

_WORDS = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
_WIDE_WORDS: dict = {**_WORDS, "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
_LARGE: dict = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_SMALL: dict = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4}
_HALF = (0.5, 0.5, 0.5)


def _preset(vision: dict, words: dict, width: int = 512, side: int = 224) -> dict[str, dict]:
    config = {"vision_config": {**vision, "image_size": side}, "text_config": words, "projection_dim": width}
    return {"config": config, "processor": {"image_size": side, "vocab_size": words["vocab_size"]}}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {**_SMALL, "num_hidden_layers": 5, "image_size": 64, "patch_size": 8},
            "text_config": {**_SMALL, "num_hidden_layers": 2, "max_position_embeddings": 64},
            "projection_dim": 128,
        },
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF, "max_length": 64},
    },
    "paper": _preset(_LARGE, _WIDE_WORDS, 768, 336),  # ViT-L/14@336
    "vit_large_14": _preset(_LARGE, _WIDE_WORDS, 768),
    "vit_base_16": _preset({"patch_size": 16}, _WORDS),
    "vit_base_32": _preset({"patch_size": 32}, _WORDS),
}
