"""Presets of DDPM: the two nets of appendix B, a net for MNIST at 28 pixels, and one for the built-in digits at 8."""

_SCHEDULER = {"_class_name": "DDPMScheduler", "beta_start": 1e-4, "beta_end": 0.02, "variance_type": "fixed_large"}
_HALF, _GRAY_HALF = (0.5, 0.5, 0.5), (0.5,)


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


def _gray(side: int, widths: list[int]) -> dict[str, dict]:
    """A narrow net for gray pictures, one residual block a level, attention in the middle alone."""
    unet = {
        "_class_name": "UNet2DModel",
        "sample_size": side,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": widths,
        "down_block_types": ["DownBlock2D"] * len(widths),
        "up_block_types": ["UpBlock2D"] * len(widths),
        "layers_per_block": 1,
        "attention_head_dim": None,
        "norm_num_groups": 8,
    }
    processor = {"image_size": side, "do_grayscale": True, "image_mean": _GRAY_HALF, "image_std": _GRAY_HALF}
    return {"config": {"unet": unet, "scheduler": _SCHEDULER}, "processor": processor}


PRESETS: dict[str, dict[str, dict]] = {
    "tiny": _gray(8, [32, 64]),
    "paper": _paper(32, [128, 256, 256, 256], attention=1, dropout=0.1),  # CIFAR-10
    "lsun": _paper(256, [128, 128, 256, 256, 512, 512], attention=4, dropout=0.0),  # and CelebA-HQ
    "mnist": _gray(28, [24, 48, 48]),
}
