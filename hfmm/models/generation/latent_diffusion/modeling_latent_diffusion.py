"""Latent diffusion (Rombach et al., CVPR 2022, arXiv 2112.10752) over diffusers' `AutoencoderKL` and conditional U-Net.

An autoencoder first learns to write pictures as small maps of latents; a diffusion model then learns these maps, given
a text by cross-attention, so that its steps cost little; what it draws is decoded.

Axes: B batch, C channels, H height, W width; L channels of latents, h height, w width; T tokens, D width of the text.

| paper | here |
|---|---|
| z = E(x), x = D(z), section 3.1 | `LatentDiffusionModel.encode`, `LatentDiffusionModel.decode` |
| first stage, section 3.1 and appendix G | `LatentDiffusionModel.first_stage_loss` |
| scaling of the latents, appendix G | `LatentDiffusionModel.measure_scale` |
| L_LDM with a condition, Eq. 3 | `DiffusionModel.denoising_errors` |
| tau(y) in cross-attention, section 3.3 | `LatentDiffusionModel.text_states` |
| guidance, appendix C | `guided` |

Departures: the first stage minimizes L1 and the KL term, with neither the perceptual nor the adversarial one; small
presets read texts with CLIP's transformer, trained with the U-Net.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from hfmm.nn.diffusion import DiffusionModel, DiffusionOutput, Predict, Sampling, denoise, guided, visible


class LatentDiffusionModel(DiffusionModel):
    """Autoencoder, text encoder, U-Net and scheduler: losses of both stages, and pictures of texts."""

    vae: Any
    text_encoder: Any
    unet: Any

    @property
    def scale(self) -> float:
        """Which the latents are multiplied by for the U-Net."""
        return float(self.vae.config.scaling_factor)

    def encode(self, pixel_values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Latents as the U-Net knows them, drawn of the encoder's Gaussians. (B, C, H, W) -> (B, L, h, w)."""
        return self.scale * self.vae.encode(pixel_values).latent_dist.sample(generator)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, L, h, w) -> (B, C, H, W), about [-1, 1]."""
        decoded: Tensor = self.vae.decode(latents / self.scale).sample
        return decoded

    def reconstruct(self, pixel_values: Tensor) -> Tensor:
        """Pictures through the autoencoder, by the mean of their latents. (B, C, H, W) -> (B, C, H, W), in [0, 1]."""
        return visible(self.vae.decode(self.vae.encode(pixel_values).latent_dist.mode()).sample)

    @torch.no_grad()
    def measure_scale(self, pixel_values: Tensor) -> float:
        """Set the scale to 1 / standard deviation of these pictures' latents, so that they have that of the noise.

        Args:
            pixel_values: (B, C, H, W).

        Returns:
            The scale.
        """
        latents = self.vae.encode(pixel_values).latent_dist.mode()  # B L h w
        self.vae.register_to_config(scaling_factor=1 / float(latents.std()))
        return self.scale

    @property
    def nothing(self) -> Tensor:
        """The tokens of the empty text, (1, T)."""
        return self.tokens_of([""])

    def tokens_of(self, texts: Sequence[str]) -> Tensor:
        """Texts as tokens, all of the length that the encoder was made for. B texts -> (B, T)."""
        tokenizer = self.pipeline.tokenizer
        length = tokenizer.model_max_length
        ids = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        found: Tensor = ids.input_ids.to(self.device)
        return found

    def text_states(self, input_ids: Tensor) -> Tensor:
        """tau(y), all states of the text encoder, those of padding, too: nothing masks them. (B, T) -> (B, T, D)."""
        tokenizer = self.pipeline.tokenizer
        missing = tokenizer.model_max_length - input_ids.shape[1]
        return self.text_encoder(pad(input_ids, (0, missing), value=tokenizer.pad_token_id))[0]

    def predict(self, states: Tensor, without: Tensor | None = None, guidance_scale: float = 1.0) -> Predict:
        """The U-Net as a function of noisy latents (B, L, h, w) and levels (B,).

        Args:
            states: (B, T, D), of the texts.
            without: (1, T, D), of the empty text; read where there is guidance.
            guidance_scale: Of classifier-free guidance; 1 is none.
        """
        if without is None or guidance_scale == 1:
            return lambda noisy, levels: self.unet(noisy, levels, states).sample
        both = torch.cat([without.expand_as(states), states])  # 2 B T D

        def guiding(noisy: Tensor, levels: Tensor) -> Tensor:
            found = self.unet(noisy.repeat(2, 1, 1, 1), levels.repeat(2), both).sample
            without_text, with_text = found.chunk(2)
            return guided(without_text, with_text, guidance_scale)

        return guiding

    def forward(
        self,
        pixel_values: Tensor,
        input_ids: Tensor | None = None,
        first_stage: bool = False,
        kl_weight: float = 1e-6,
        condition_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> DiffusionOutput:
        """The loss of a stage.

        Args:
            pixel_values: (B, C, H, W), in [-1, 1].
            input_ids: (B, T), texts; empty ones by default.
            first_stage: That of the autoencoder; the diffusion's otherwise.
            kl_weight: Of the first stage.
            condition_dropout: How often a picture's text is replaced by the empty one, for guidance.
            generator: Of the levels, and of what is left out.
        """
        if first_stage:
            return self.first_stage_loss(pixel_values, kl_weight)
        count = len(pixel_values)
        states = self.text_states(self.nothing.expand(count, -1) if input_ids is None else input_ids)  # B T D
        left_out = torch.rand(count, generator=generator).to(states.device) < condition_dropout  # B
        if left_out.any():
            states = torch.where(left_out[:, None, None], self.text_states(self.nothing), states)  # B T D
        with torch.no_grad():
            latents = self.encode(pixel_values).float()  # B L h w
        errors = self.denoising_errors(self.predict(states), latents, generator)
        return DiffusionOutput(loss=errors.mean(), losses={})

    def first_stage_loss(self, pixel_values: Tensor, kl_weight: float) -> DiffusionOutput:
        """Absolute errors, summed over a picture, and the KL to the standard normal, lightly weighted."""
        posterior = self.vae.encode(pixel_values).latent_dist
        decoded = self.vae.decode(posterior.sample()).sample
        reconstruction = (decoded.float() - pixel_values).abs().sum((1, 2, 3)).mean()
        kl = posterior.kl().mean()
        losses = {"reconstruction": reconstruction, "kl": kl}
        return DiffusionOutput(loss=reconstruction + kl_weight * kl, losses=losses)

    @torch.no_grad()
    def trajectory(
        self,
        num_images: int = 1,
        generator: torch.Generator | None = None,
        prompts: Sequence[str] | None = None,
        **sampling: Any,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """From noise to latents: see [`denoise`].

        Args:
            num_images: B.
            generator: Of all noise.
            prompts: B texts; empty ones by default.
            sampling: Of [`Sampling`]; eta is 0 by default, as the paper draws.
        """
        chosen, config = Sampling(**{"eta": 0.0, **sampling}), self.unet.config
        noise = self.noise_of((num_images, config.in_channels, config.sample_size, config.sample_size), generator)
        states = self.text_states(self.tokens_of(prompts or [""] * num_images))  # B T D
        predict = self.predict(states, self.text_states(self.nothing), chosen.guidance_scale)
        return denoise(predict, noise, self.scheduler, chosen, generator)

    def reverse_strip(
        self, num_images: int = 1, generator: torch.Generator | None = None, **options: Any
    ) -> Iterator[Tensor]:
        """What is drawn as it comes about, decoded: (B, C, H, W) in [0, 1]; see [`LatentDiffusionModel.trajectory`]."""
        return (visible(self.decode(noisy)) for noisy, _ in self.trajectory(num_images, generator, **options))

    def forward_strip(
        self, pixel_values: Tensor, levels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """A picture whose latents are under more and more of one noise, and what is seen in each without a text.

        Args:
            pixel_values: (1, C, H, W), in [-1, 1].
            levels: (K,).
            generator: Of the noise.

        Returns:
            Two of (K, C, H, W), in [0, 1].
        """
        latents = self.encode(pixel_values, torch.Generator().manual_seed(0))
        states = self.text_states(self.nothing).expand(len(levels), -1, -1)  # K T D
        noisy, guess = self.buried(self.predict(states), latents, levels, generator)  # K L h w
        return visible(self.decode(noisy)), visible(self.decode(guess))

    @torch.no_grad()
    def generate_images(self, num_images: int = 1, generator: torch.Generator | None = None, **options: Any) -> Tensor:
        """Draw pictures, (B, C, H, W) in [0, 1]; see [`LatentDiffusionModel.trajectory`]."""
        *_, (latents, _) = self.trajectory(num_images, generator, **options)
        return visible(self.decode(latents))
