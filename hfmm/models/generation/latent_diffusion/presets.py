"""Presets of latent diffusion: the paper's for texts, and small ones for the scenes' captions.

`paper` has the autoencoder KL-f8, the U-Net and the BERT-like text encoder of 1.45 billion parameters (table 15);
`tiny` draws 32 pixels out of 8 x 8 latents, `small` 64 out of 16 x 16.
"""

_HALF = (0.5, 0.5, 0.5)
_SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
_NO_CHECKER = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def _preset(side: int, widths: list[int], reading: int, max_length: int) -> dict[str, dict]:
    """A small model of pictures that the autoencoder makes four times smaller."""
    count = len(widths)
    vae = {
        "_class_name": "AutoencoderKL",
        "sample_size": side,
        "block_out_channels": [16, 32, 48],
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "norm_num_groups": 8,
        "latent_channels": 4,
        "scaling_factor": 1.0,
    }
    unet = {
        "_class_name": "UNet2DConditionModel",
        "sample_size": side // 4,
        "block_out_channels": widths,
        "down_block_types": ["CrossAttnDownBlock2D"] * count,
        "up_block_types": ["CrossAttnUpBlock2D"] * count,
        "layers_per_block": 1,
        "cross_attention_dim": reading,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    text_encoder = {
        "_class_name": "CLIPTextModel",
        "hidden_size": reading,
        "intermediate_size": 4 * reading,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": max_length,
    }
    config = {"vae": vae, "unet": unet, "text_encoder": text_encoder, "tokenizer": None, "scheduler": _SCHEDULER}
    processor = {"image_size": side, "image_mean": _HALF, "image_std": _HALF, "max_length": max_length}
    return {"config": {**config, **_NO_CHECKER}, "processor": processor}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": _preset(32, [32, 64], 64, 32),
    "paper": {
        "config": {
            "vae": {
                "_class_name": "AutoencoderKL",
                "sample_size": 256,
                "block_out_channels": [128, 256, 512, 512],
                "down_block_types": ["DownEncoderBlock2D"] * 4,
                "up_block_types": ["UpDecoderBlock2D"] * 4,
                "layers_per_block": 2,
            },
            "unet": {
                "_class_name": "UNet2DConditionModel",
                "sample_size": 32,
                "block_out_channels": [320, 640, 1280, 1280],
                "cross_attention_dim": 1280,
            },
            "text_encoder": {"_class_name": "LDMBertModel", "vocab_size": 30522},
            "tokenizer": None,
            "scheduler": _SCHEDULER,
            **_NO_CHECKER,
        },
        "processor": {
            "image_size": 256,
            "image_mean": _HALF,
            "image_std": _HALF,
            "max_length": 77,
            "vocab_size": 30522,
        },
    },
    "small": _preset(64, [64, 96, 128], 96, 64),
}
