"""What diffusion models share, over diffusers' models and schedulers: targets, samplers, guidance, a pipeline's parts.

Levels are counted as diffusers counts them, t = 0 ... T - 1; the papers' are one higher.

Axes: B batch, C channels, H height, W width.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DiffusionPipeline, DPMSolverMultistepScheduler
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

logging.disable_progress_bar()  # a bar for files that are read in a moment is noise

SAMPLERS = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm_solver": DPMSolverMultistepScheduler}
Predict = Callable[[Tensor, Tensor], Tensor]  # (B, C, H, W) at levels (B,) -> what the model was trained to predict


@dataclass
class DiffusionOutput(ModelOutput):
    """What [`DiffusionModel`]s return.

    Attributes:
        loss: (), a mean over pictures.
        losses: Its parts by name, each ().
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None


def signal_and_noise(scheduler: Any, levels: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of picture and noise at each level, sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t).

    Args:
        scheduler: With `alphas_cumprod`.
        levels: (B,).
        like: (B, C, H, W), whose device and type the shares take.

    Returns:
        Two of (B, 1, 1, 1).
    """
    kept = scheduler.alphas_cumprod.to(like.device)[levels.to(like.device), None, None, None]  # B 1 1 1
    return kept.sqrt().to(like), (1 - kept).sqrt().to(like)


def target_of(scheduler: Any, clean: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
    """What a model learns to predict, by the scheduler's `prediction_type`. Two of (B, C, H, W), (B,) -> (B, C, H, W).

    The noise (Ho et al. 2020), the clean picture, or v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) clean (Salimans
    and Ho 2022).
    """
    signal, level = signal_and_noise(scheduler, levels, clean)
    return {
        "epsilon": lambda: noise,
        "sample": lambda: clean,
        "v_prediction": lambda: signal * noise - level * clean,
    }[scheduler.config.prediction_type]()


def clean_of(scheduler: Any, prediction: Tensor, noisy: Tensor, levels: Tensor) -> Tensor:
    """The clean picture that a prediction means, clipped where the scheduler clips. (B, C, H, W) -> (B, C, H, W)."""
    signal, level = signal_and_noise(scheduler, levels, noisy)
    clean: Tensor = {
        "epsilon": lambda: (noisy - level * prediction) / signal,
        "sample": lambda: prediction,
        "v_prediction": lambda: signal * noisy - level * prediction,
    }[scheduler.config.prediction_type]()
    edge = scheduler.config.clip_sample_range
    return clean.clamp(-edge, edge) if scheduler.config.clip_sample else clean


def sampler_of(name: str, scheduler: Any) -> Any:
    """A new sampler over the levels that a model was trained with.

    Args:
        name: One of SAMPLERS.
        scheduler: The model's.

    Raises:
        ValueError: No such sampler.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler is {name!r}: it must be one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name].from_config(scheduler.config)


def guided(without: Tensor, given: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: away from what is predicted without the condition (Ho and Salimans 2021)."""
    return without + scale * (given - without)


def visible(values: Tensor) -> Tensor:
    """Pictures from [-1, 1] to [0, 1], cut off there."""
    return (values / 2 + 0.5).clamp(0, 1)


@dataclass(frozen=True)
class Sampling:
    """How noise becomes a picture.

    Attributes:
        sampler: One of SAMPLERS.
        num_inference_steps: Evaluations of the model.
        eta: How much noise DDIM adds again: none at 0, as much as DDPM at 1 (Song et al. 2021, Eq. 16).
        guidance_scale: Of [`guided`]; 1 is none.
    """

    sampler: str = "ddim"
    num_inference_steps: int = 50
    eta: float = 1.0
    guidance_scale: float = 1.0


def denoise(
    predict: Predict, noisy: Tensor, scheduler: Any, sampling: Sampling, generator: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Take noise to a picture step by step.

    Args:
        predict: The model.
        noisy: (B, C, H, W), standard normal.
        scheduler: That the model was trained with.
        sampling: How.
        generator: Of the noise that is added again.

    Yields:
        Before each step the pictures as they are and what they are taken for, two of (B, C, H, W); at last the result,
        twice.
    """
    sampler = sampler_of(sampling.sampler, scheduler)
    sampler.set_timesteps(sampling.num_inference_steps)
    options = {}
    if isinstance(sampler, DDIMScheduler):  # a picture that is cut off means another noise: DDPM steps by it, too
        options = {"eta": sampling.eta, "use_clipped_model_output": scheduler.config.clip_sample}
    for level in sampler.timesteps:
        levels = level.to(noisy.device).expand(len(noisy))  # B
        prediction = predict(noisy, levels)
        yield noisy, clean_of(scheduler, prediction, noisy, levels)
        noisy = sampler.step(prediction, level, noisy, generator=generator, **options).prev_sample
    yield noisy, noisy


class DiffusionModel(nn.Module):
    """The parts of a diffusers pipeline as one module, which trains, scores and draws; on disk it is the pipeline.

    Args:
        pipeline: Any whose parts are upstream's.
    """

    pipeline: Any

    def __init__(self, pipeline: Any) -> None:
        super().__init__()
        self.pipeline = pipeline
        for name, part in pipeline.components.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)

    @classmethod
    def from_pretrained(cls, where: str | Path, revision: str | None = None, use_safetensors: bool = True) -> Self:
        """Load a pipeline's parts from a folder or a repository."""
        return cls(DiffusionPipeline.from_pretrained(where, revision=revision, use_safetensors=use_safetensors))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the pipeline, without where it came from: any `DiffusionPipeline.from_pretrained` loads it."""
        self.pipeline.save_pretrained(folder)
        for path in (Path(folder) / "model_index.json", *Path(folder).glob("*/*config.json")):
            settings = json.loads(path.read_text(encoding="utf-8"))
            if settings.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @property
    def scheduler(self) -> Any:
        """The levels that it is trained with, and how it predicts."""
        return self.pipeline.scheduler

    def settings(self) -> dict[str, dict[str, Any]]:
        """Of each part by its name. (A `config` would be taken for one model's, by peft for one.)"""
        configs = {name: part.config for name, part in self.named_children()} | {"scheduler": self.scheduler.config}
        return {
            name: config.to_dict() if isinstance(config, PreTrainedConfig) else dict(config)
            for name, config in configs.items()
        }

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.parameters()).device

    def num_parameters(self) -> int:
        """Of all parts."""
        return sum(parameter.numel() for parameter in self.parameters())

    def denoising_errors(self, predict: Predict, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        """The squared error of the prediction at a random level of each picture (Ho et al. 2020, Eq. 14).

        Args:
            predict: The model.
            clean: (B, C, H, W).
            generator: Of the levels, the same on every process; the noise is each process's own.

        Returns:
            (B,), means over values.
        """
        count = self.scheduler.config.num_train_timesteps
        levels = torch.randint(count, (len(clean),), generator=generator).to(clean.device)  # B
        noise = torch.randn(clean.shape, device=clean.device, dtype=clean.dtype)  # whatever its memory format
        noisy = self.scheduler.add_noise(clean, noise, levels)
        target = target_of(self.scheduler, clean, noise, levels)
        return (predict(noisy, levels).float() - target).square().mean((1, 2, 3))

    def buried(
        self, predict: Predict, clean: Tensor, levels: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """One picture (or its latents) under more and more of one noise, and what is seen in each.

        Args:
            predict: The model.
            clean: (1, C, H, W).
            levels: (K,).
            generator: Of the noise.

        Returns:
            Two of (K, C, H, W).
        """
        levels = levels.to(self.device)
        repeated = clean.expand(len(levels), -1, -1, -1)  # K C H W
        noise = self.noise_of(clean.shape, generator).expand_as(repeated)  # K C H W
        noisy = self.scheduler.add_noise(repeated, noise, levels)
        return noisy, clean_of(self.scheduler, predict(noisy, levels), noisy, levels)

    def noise_of(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """Where drawing begins."""
        noise: Tensor = randn_tensor(shape, generator=generator, device=self.device)
        return noise
