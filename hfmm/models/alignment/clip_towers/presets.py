"""Presets of CLIP over any two towers: the nine published sizes, those of figure 3's other towers, and small ones.

Small ones are for pictures of 64 pixels and the sentences of the scenes' grammar.
"""

_WORDS = {"vocab_size": 49408, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407}
_HALF = (0.5, 0.5, 0.5)
_LARGE: dict = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_SMALL: dict = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4}
_SMALL_WORDS: dict = {**_SMALL, "num_hidden_layers": 2, "max_position_embeddings": 64}
_SMALL_RESNET: dict = {"stem_size": 32, "depths": [2, 2], "pool_head_size": 16}
_SMALL_VIT: dict = {"vision_tower": "vit"}
_PATCHES = {**_SMALL, "num_hidden_layers": 5, "patch_size": 8}


def _text(width: int) -> dict:
    return {**_WORDS, "hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": width // 64}


def _preset(side: int, vision: dict, text: dict, width: int, **towers: object) -> dict[str, dict]:
    config = {**towers, "vision_config": {**vision, "image_size": side}, "text_config": text, "projection_dim": width}
    return {"config": config, "processor": {"image_size": side, "vocab_size": text["vocab_size"]}}


def _resnet(side: int, stem_size: int, depths: list[int], text_width: int, width: int) -> dict[str, dict]:
    return _preset(side, {}, _text(text_width), width, stem_size=stem_size, depths=depths)


def _vit(side: int, vision: dict, text_width: int, width: int) -> dict[str, dict]:
    return _preset(side, vision, _text(text_width), width, vision_tower="vit")


def _small(vision: dict, **towers: object) -> dict[str, dict]:
    config = {
        **towers,
        "vision_config": {**vision, "image_size": 64},
        "text_config": _SMALL_WORDS,
        "projection_dim": 128,
    }
    return {
        "config": config,
        "processor": {"image_size": 64, "image_mean": _HALF, "image_std": _HALF, "max_length": 64},
    }


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": _small({}, **_SMALL_RESNET),
    "tiny_resnet_cbow": _small({}, **_SMALL_RESNET, text_tower="cbow"),
    "tiny_vit_transformer": _small(_PATCHES, **_SMALL_VIT),
    "tiny_vit_cbow": _small(_PATCHES, **_SMALL_VIT, text_tower="cbow"),
    "paper": _resnet(224, 64, [3, 4, 6, 3], 512, 1024),  # RN50
    "resnet_101": _resnet(224, 64, [3, 4, 23, 3], 512, 512),
    "resnet_50x4": _resnet(288, 80, [4, 6, 10, 6], 640, 640),
    "resnet_50x16": _resnet(384, 96, [6, 8, 18, 8], 768, 768),
    "resnet_50x64": _resnet(448, 128, [3, 15, 36, 10], 1024, 1024),
    "vit_base_32": _vit(224, {"patch_size": 32}, 512, 512),
    "vit_base_16": _vit(224, {"patch_size": 16}, 512, 512),
    "vit_large_14": _vit(224, _LARGE, 768, 768),
    "vit_large_14_336": _vit(336, _LARGE, 768, 768),
}
