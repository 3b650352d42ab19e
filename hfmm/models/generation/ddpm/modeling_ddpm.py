"""DDPM (Ho, Jain and Abbeel, NeurIPS 2020, arXiv 2006.11239) over diffusers' `UNet2DModel` and schedulers.

A picture is buried in noise in T small steps; a U-Net learns to say which noise it was, and so noise is taken back to
a picture step by step. Training is regression, and what it minimizes is a bound of the likelihood with other weights.

Axes: B batch, C channels, H height, W width. Levels t count from 0, the paper's from 1.

| paper | here |
|---|---|
| q(x_t given x_0), Eq. 4 | `scheduler.add_noise`; shares in `signal_and_noise` |
| q(x_(t-1) given x_t, x_0), Eqs. 6 and 7 | `posterior` |
| L, Eq. 5; L_(t-1), Eq. 8 | `DdpmModel.log_likelihood`, `DdpmModel.step_nats` |
| L_0, Eq. 13 | `discrete_log_likelihood` |
| L_simple, Eq. 14 | `DiffusionModel.denoising_errors` |
| sampling, algorithm 2 | `denoise` |

Beyond the paper: classes (an embedding added to that of the level, the last for "no class") with classifier-free
guidance, other things to predict than the noise, other samplers than the paper's.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hfmm.nn.diffusion import DiffusionModel, DiffusionOutput, Predict, Sampling, clean_of, denoise, guided, visible

HALF_BIN = 1 / 255  # of 256 gray levels in [-1, 1]
SMALLEST = 1e-12  # probability of a bin


def posterior(scheduler: Any, clean: Tensor, noisy: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of q(x_(t-1) given x_t, x_0), Eqs. 6 and 7.

    Args:
        scheduler: With `betas` and `alphas_cumprod`.
        clean: x_0, (B, C, H, W).
        noisy: x_t, (B, C, H, W).
        levels: (B,), t.

    Returns:
        (B, C, H, W) and (B, 1, 1, 1).
    """
    products = scheduler.alphas_cumprod.to(clean)
    before = torch.cat([products.new_ones(1), products])[levels][:, None, None, None]  # B 1 1 1, alpha_bar_(t-1)
    now, beta = products[levels][:, None, None, None], scheduler.betas.to(clean)[levels][:, None, None, None]
    mean = (before.sqrt() * beta * clean + (1 - beta).sqrt() * (1 - before) * noisy) / (1 - now)
    return mean, (1 - before) / (1 - now) * beta


def discrete_log_likelihood(clean: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Log p(x_0 given x_1), each value one of 256 levels, the outermost with the tails (Eq. 13).

    Args:
        clean: (B, C, H, W), in [-1, 1].
        mean: (B, C, H, W).
        deviation: Broadcasts with these.

    Returns:
        (B,), nats.
    """
    above = torch.special.ndtr((clean + HALF_BIN - mean) / deviation)
    below = torch.special.ndtr((clean - HALF_BIN - mean) / deviation)
    above = above.masked_fill(clean > 1 - HALF_BIN, 1)
    below = below.masked_fill(clean < HALF_BIN - 1, 0)
    return (above - below).clamp(min=SMALLEST).log().sum((1, 2, 3))


class DdpmModel(DiffusionModel):
    """A U-Net and a scheduler: loss, bound and pictures."""

    unet: Any

    @property
    def nothing(self) -> int | None:
        """The class that stands for none; None of a model without classes."""
        count = self.unet.config.num_class_embeds
        return None if count is None else count - 1

    def predict(self, labels: Tensor | None = None, guidance_scale: float = 1.0) -> Predict:
        """The U-Net as a function of noisy pictures (B, C, H, W) and levels (B,).

        Args:
            labels: (B,), classes; no class by default.
            guidance_scale: Of classifier-free guidance; 1 is none.
        """
        none = self.nothing
        if none is None:
            return lambda noisy, levels: self.unet(noisy, levels).sample

        def conditional(noisy: Tensor, levels: Tensor) -> Tensor:
            nothing = torch.full_like(levels, none)  # B
            given = nothing if labels is None else labels.to(noisy.device)
            if labels is None or guidance_scale == 1:
                return self.unet(noisy, levels, given).sample
            both = self.unet(noisy.repeat(2, 1, 1, 1), levels.repeat(2), torch.cat([nothing, given])).sample
            without, conditioned = both.chunk(2)
            return guided(without, conditioned, guidance_scale)

        return conditional

    def forward(
        self,
        pixel_values: Tensor,
        class_labels: Tensor | None = None,
        condition_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> DiffusionOutput:
        """L_simple at a random level of each picture (Eq. 14).

        Args:
            pixel_values: (B, C, H, W), in [-1, 1].
            class_labels: (B,); read by models with classes.
            condition_dropout: How often a picture's class is left out, so that guidance knows pictures without.
            generator: Of the levels, and of what is left out.
        """
        if self.nothing is not None and class_labels is not None:
            left_out = torch.rand(len(class_labels), generator=generator).to(class_labels.device) < condition_dropout
            class_labels = class_labels.masked_fill(left_out, self.nothing)
        errors = self.denoising_errors(self.predict(class_labels), pixel_values, generator)
        return DiffusionOutput(loss=errors.mean(), losses={})

    def step_nats(self, clean: Tensor, noisy: Tensor, levels: Tensor) -> Tensor:
        """L_(t-1): KL(q(x_(t-1) given x_t, x_0) || p(x_(t-1) given x_t)), Eq. 8; -log p(x_0 given x_1) where t is 0.

        Args:
            clean: x_0, (B, C, H, W).
            noisy: x_t, (B, C, H, W).
            levels: (B,), t.

        Returns:
            (B,), nats.
        """
        guess = clean_of(self.scheduler, self.predict()(noisy, levels).float(), noisy, levels)
        mean, variance = posterior(self.scheduler, clean, noisy, levels)
        own_mean, _ = posterior(self.scheduler, guess, noisy, levels)
        own_variance = self.variance(levels, variance)  # B 1 1 1
        ratio = variance / own_variance
        apart = (mean - own_mean).square() / own_variance
        nats = 0.5 * (ratio + apart - 1 - ratio.clamp(min=SMALLEST).log()).sum((1, 2, 3))
        return torch.where(levels > 0, nats, -discrete_log_likelihood(clean, own_mean, own_variance.sqrt()))

    def variance(self, levels: Tensor, of_posterior: Tensor) -> Tensor:
        """sigma_t^2: beta_t, or that of the posterior. (B,) and (B, 1, 1, 1) -> (B, 1, 1, 1).

        At t = 0, where the posterior's is none and the sampler adds no noise, it is the posterior's of t = 1, as in the
        released code.
        """
        one = torch.ones(1, dtype=torch.long, device=levels.device)
        zero = torch.zeros(1, 1, 1, 1, device=levels.device)
        first = posterior(self.scheduler, zero, zero, one)[1]
        beta = self.scheduler.betas.to(of_posterior)[levels][:, None, None, None]  # B 1 1 1
        large = self.scheduler.config.variance_type == "fixed_large"
        return torch.where(levels[:, None, None, None] > 0, beta if large else of_posterior, first)

    def prior_nats(self, clean: Tensor) -> Tensor:
        """L_T: KL(q(x_T given x_0) || N(0, I)). (B, C, H, W) -> (B,), nats."""
        kept = float(self.scheduler.alphas_cumprod[-1])
        return 0.5 * (kept * clean.square() - kept - math.log1p(-kept)).sum((1, 2, 3))

    @torch.no_grad()
    def log_likelihood(
        self, pixel_values: Tensor, generator: torch.Generator | None = None, num_levels: int | None = 20
    ) -> Tensor:
        """A lower bound of log p(x_0) in 256 levels, -L of Eq. 5, which the `likelihood` metric scores.

        Args:
            pixel_values: (B, C, H, W), in [-1, 1].
            generator: Of the noise.
            num_levels: L_0 and one term out of each of so many equal stretches of the others, which is L in the mean;
                None takes them all.

        Returns:
            (B,), nats.
        """
        count = self.scheduler.config.num_train_timesteps
        ends = torch.linspace(1, count, (num_levels or count - 1) + 1).round().long()
        total = self.prior_nats(pixel_values)
        for start, end in [(0, 1), *zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]:
            levels = torch.randint(start, end, (len(pixel_values),), generator=generator).to(self.device)  # B
            noise = self.noise_of(pixel_values.shape, generator)
            noisy = self.scheduler.add_noise(pixel_values, noise, levels)
            total += (end - start) * self.step_nats(pixel_values, noisy, levels)
        return -total

    def trajectory(
        self,
        num_images: int = 1,
        generator: torch.Generator | None = None,
        class_labels: Tensor | None = None,
        **sampling: Any,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """From noise to pictures (algorithm 2): see [`denoise`].

        Args:
            num_images: B.
            generator: Of all noise.
            class_labels: (B,), one for each picture; no class by default.
            sampling: Of [`Sampling`]: `sampler`, `num_inference_steps`, `eta`, `guidance_scale`.
        """
        chosen, config = Sampling(**sampling), self.unet.config
        noise = self.noise_of((num_images, config.in_channels, config.sample_size, config.sample_size), generator)
        predict = self.predict(class_labels, chosen.guidance_scale)
        return denoise(predict, noise, self.scheduler, chosen, generator)

    def reverse_strip(
        self, num_images: int = 1, generator: torch.Generator | None = None, **options: Any
    ) -> Iterator[Tensor]:
        """What is drawn as it comes about, (B, C, H, W) in [0, 1]; see [`DdpmModel.trajectory`]."""
        return (visible(noisy) for noisy, _ in self.trajectory(num_images, generator, **options))

    def forward_strip(
        self, pixel_values: Tensor, levels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """A picture under more and more of one noise, and what is seen in each.

        Args:
            pixel_values: (1, C, H, W), in [-1, 1].
            levels: (L,).
            generator: Of the noise.

        Returns:
            Two of (L, C, H, W), in [0, 1].
        """
        noisy, guess = self.buried(self.predict(), pixel_values, levels, generator)
        return visible(noisy), visible(guess)

    @torch.no_grad()
    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None, **options: Any) -> Tensor:
        """Draw pictures, (B, C, H, W) in [0, 1]; see [`DdpmModel.trajectory`]."""
        *_, images = self.reverse_strip(num_images, generator, **options)
        return images
