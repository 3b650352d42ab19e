"""Presets of LLaVA: the paper's sizes with Vicuna-13B or -7B, and a small one for pictures of 64 pixels.

The small one's picture tower is that of CLIP's small one, whose runs give its weights, and its other weights begin
wider than upstream's 0.02, near one over the root of the width: narrow layers that begin there learn nothing for long.
"""

_VISION: dict = {  # CLIP ViT-L/14
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
}
_TOKENS = {"vocab_size": 32002, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}  # as `chat_tokenizer` numbers
_STOPS = {"eos_token_id": [2, 5], "pad_token_id": 3}  # `</s>` and `###`
_SMALL_TOWER = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4}


def _preset(width: int, layers: int, heads: int, inner: int) -> dict[str, dict]:
    text = {**_TOKENS, "hidden_size": width, "num_hidden_layers": layers}
    text |= {"num_attention_heads": heads, "intermediate_size": inner}
    return {
        "config": {"vision_config": _VISION, "text_config": text, "image_token_index": 4},
        "processor": {"image_size": 224, "patch_size": 14, "vocab_size": 32002},
        "generation": _STOPS,
    }


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {
            "vision_config": {
                **_SMALL_TOWER,
                "num_hidden_layers": 5,
                "image_size": 64,
                "patch_size": 8,
            },
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
            "image_mean": (0.5, 0.5, 0.5),
            "image_std": (0.5, 0.5, 0.5),
            "system": "",
            "max_length": 512,
        },
        "generation": _STOPS,
    },
    "paper": _preset(5120, 40, 40, 13824),  # Vicuna-13B
    "vicuna_7b": _preset(4096, 32, 32, 11008),
}
