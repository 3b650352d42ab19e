"""Presets of LLaVA 1.5: the published sizes with Vicuna-7B or -13B at 336 pixels, and a small one for 64 pixels.

The small one differs from that of `llava` by its projector, two layers with a GELU between them.
"""

_VISION: dict = {  # CLIP ViT-L/14 at 336 pixels
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 336,
}
_STOPS = {"eos_token_id": [2, 5], "pad_token_id": 3}  # `</s>` and `###`, as `chat_tokenizer` numbers them
_SMALL_TOWER = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4, "num_hidden_layers": 5}
_HALF = (0.5, 0.5, 0.5)


def _preset(width: int, layers: int, heads: int, inner: int) -> dict[str, dict]:
    text = {"vocab_size": 32064, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "hidden_size": width}
    text |= {"num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner}
    return {
        "config": {"vision_config": _VISION, "text_config": text, "image_token_index": 4},
        "processor": {"image_size": 336, "patch_size": 14, "vocab_size": 32064, "template": "v1"},
        "generation": _STOPS,
    }


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {**_SMALL_TOWER, "image_size": 64, "patch_size": 8},
            "text_config": {
                "hidden_size": 128,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "intermediate_size": 384,
                "max_position_embeddings": 256,
                "initializer_range": 0.08,
            },
            "image_token_index": 4,
            "image_seq_length": 64,
        },
        "processor": {
            "image_size": 64,
            "patch_size": 8,
            "image_mean": _HALF,
            "image_std": _HALF,
            "template": "v1",
            "system": "",
            "max_length": 512,
        },
        "generation": _STOPS,
    },
    "paper": _preset(4096, 32, 32, 11008),  # Vicuna-7B
    "vicuna_13b": _preset(5120, 40, 40, 13824),
}
