"""Presets of DDPM: the two nets of appendix B, small nets for MNIST and for 32 colored pixels, one for 8 x 8 digits."""

_SCHEDULER = {"_class_name": "DDPMScheduler", "beta_start": 1e-4, "beta_end": 0.02, "variance_type": "fixed_large"}
_HALF = (0.5, 0.5, 0.5)


def _attending(count: int, place: int, block: str) -> list[str]:
    """The blocks of one half, the one at a place with self-attention."""
    return [f"Attn{block}" if index == place else block for index in range(count)]


def _paper(side: int, widths: list[int], attention: int, dropout: float) -> dict[str, dict]:
    """A net of appendix B, as its checkpoints are laid out."""
    unet = {
        "_class_name": "UNet2DModel",
        "sample_size": side,
        "block_out_channels": widths,
        "down_block_types": _attending(len(widths), attention, "DownBlock2D"),
        "up_block_types": _attending(len(widths), len(widths) - 1 - attention, "UpBlock2D"),
        "layers_per_block": 2,
        "attention_head_dim": None,
        "downsample_padding": 0,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "norm_eps": 1e-6,
        "dropout": dropout,
    }
    processor = {"image_size": side, "image_mean": _HALF, "image_std": _HALF}
    return {"config": {"unet": unet, "scheduler": _SCHEDULER}, "processor": processor}


def _narrow(side: int, widths: list[int], channels: int) -> dict[str, dict]:
    """A narrow net, one residual block a level, attention in the middle alone."""
    unet = {
        "_class_name": "UNet2DModel",
        "sample_size": side,
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": widths,
        "down_block_types": ["DownBlock2D"] * len(widths),
        "up_block_types": ["UpBlock2D"] * len(widths),
        "layers_per_block": 1,
        "attention_head_dim": None,
        "norm_num_groups": 8,
    }
    half = [0.5] * channels
    processor = {"image_size": side, "do_grayscale": channels == 1, "image_mean": half, "image_std": half}
    return {"config": {"unet": unet, "scheduler": _SCHEDULER}, "processor": processor}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": _narrow(8, [32, 64], 1),
    "paper": _paper(32, [128, 256, 256, 256], attention=1, dropout=0.1),  # CIFAR-10
    "lsun": _paper(256, [128, 128, 256, 256, 512, 512], attention=4, dropout=0.0),  # and CelebA-HQ
    "mnist": _narrow(28, [24, 48, 48], 1),
    "small": _narrow(32, [32, 64, 64], 3),
}
