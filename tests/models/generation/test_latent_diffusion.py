"""Latent diffusion through upstream classes: both stages, the scale between them, texts, guidance."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import hfmm
from hfmm.errors import UsageError
from hfmm.factory import create_module
from hfmm.nn.diffusion import guided
from tests.models.vision.upstream import parameters
from tests.testing import seeded
from tests.testing_diffusion import Diffuses, generator

TEXTS = ["a small red star", "a blue ring"]
SMALL = {
    "vae": {"block_out_channels": [8, 8, 16], "norm_num_groups": 4},
    "unet": {"block_out_channels": [8, 16], "norm_num_groups": 4, "attention_head_dim": 4},
}


@pytest.fixture(scope="module")
def model():
    with seeded():
        return create_module("latent_diffusion", **SMALL).eval()


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(2, 3, 32, 32, generator=generator()) * 2 - 1


class TestLatentDiffusion(Diffuses):
    architecture = "latent_diffusion"
    overfit_ratio = 0.5
    without_effect = ("vae.",)  # which learns in the first stage

    def overrides(self):
        return SMALL

    def inputs(self):
        words = self.processor().tokenizer(TEXTS, padding=True, return_tensors="pt")
        return {"pixel_values": torch.rand(2, 3, 32, 32, generator=generator()) * 2 - 1, "input_ids": words.input_ids}

    def drawing(self):
        return {"num_inference_steps": 3, "prompts": TEXTS, "guidance_scale": 2.0}


# The first stage


def test_latents_are_small_and_pictures_come_back_in_their_size(model, pixels):
    with torch.no_grad():
        latents = model.encode(pixels, generator())
        assert latents.shape == (2, 4, 8, 8)
        assert model.decode(latents).shape == model.reconstruct(pixels).shape == pixels.shape


def test_first_stage_is_absolute_errors_and_a_light_kl(model, pixels):
    with seeded(1):
        output = model(pixels, first_stage=True, kl_weight=0.5)
    with seeded(1), torch.no_grad():
        posterior = model.vae.encode(pixels).latent_dist
        decoded = model.vae.decode(posterior.sample()).sample
    prior = Normal(torch.zeros(()), torch.ones(()))
    kl = kl_divergence(Normal(posterior.mean, posterior.std), prior).sum((1, 2, 3)).mean()
    torch.testing.assert_close(output.losses["kl"], kl, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(output.losses["reconstruction"], (decoded - pixels).abs().sum() / 2)
    torch.testing.assert_close(output.loss, output.losses["reconstruction"] + 0.5 * output.losses["kl"])


def test_the_first_stage_moves_the_autoencoder_alone(pixels):
    model = create_module("latent_diffusion", **SMALL)
    model(pixels, first_stage=True).loss.backward()
    moved = {name.partition(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert moved == {"vae"}


def test_latents_are_brought_to_a_deviation_of_one(pixels):
    with seeded():
        model = create_module("latent_diffusion", **SMALL)
    assert model.scale == 1
    spread = model.vae.encode(pixels).latent_dist.mode().std()
    assert model.measure_scale(pixels) == pytest.approx(1 / spread.item())
    assert (model.scale * model.vae.encode(pixels).latent_dist.mode()).std().item() == pytest.approx(1)
    with torch.no_grad():
        latents = model.vae.encode(pixels).latent_dist.mode()
        torch.testing.assert_close(model.decode(model.scale * latents), model.vae.decode(latents).sample)


# Texts


def test_a_text_changes_what_is_predicted_and_its_length_in_a_batch_does_not(model):
    noisy, levels = torch.randn(1, 4, 8, 8, generator=generator()), torch.tensor([500])
    tokenizer = model.pipeline.tokenizer
    with torch.no_grad():
        states = [model.text_states(model.tokens_of([text])) for text in TEXTS]
        found = [model.predict(state)(noisy, levels) for state in states]
        assert not torch.equal(*found)
        short = tokenizer([TEXTS[1]], return_tensors="pt").input_ids
        torch.testing.assert_close(model.text_states(short), states[1])
    assert states[0].shape[1] == tokenizer.model_max_length  # all states, of padding, too: nothing masks them


def test_padding_is_read_by_the_cross_attention(model):
    """Documented: as upstream's pipelines do, and the paper."""
    noisy, levels = torch.randn(1, 4, 8, 8, generator=generator()), torch.tensor([500])
    with torch.no_grad():
        states = model.text_states(model.tokens_of(TEXTS[:1]))
        changed = states.clone()
        changed[:, -1] += 1
        assert not torch.equal(model.predict(states)(noisy, levels), model.predict(changed)(noisy, levels))


def test_loss_is_the_error_of_the_noise_in_latents(model, pixels):  # Eq. 3
    ids = model.tokens_of(TEXTS)
    with seeded(1):
        found = model(pixels, ids, generator=generator()).loss
    draws = generator()
    torch.rand(2, generator=draws)  # who keeps the text
    levels = torch.randint(1000, (2,), generator=draws)
    with seeded(1), torch.no_grad():
        latents = model.encode(pixels)
        noise = torch.randn(2, 4, 8, 8)
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        kept = torch.cumprod(1 - betas, 0)[levels][:, None, None, None]
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        told = model.unet(noisy, levels, model.text_encoder(ids)[0]).sample
    torch.testing.assert_close(found.detach(), (told - noise).square().mean(), rtol=1e-4, atol=1e-5)


def test_texts_that_are_left_out_are_empty(model, pixels):
    ids = model.tokens_of(TEXTS)
    with seeded(1):
        left_out = model(pixels, ids, condition_dropout=1.0, generator=generator()).loss
    with seeded(1):
        without = model(pixels, None, generator=generator()).loss
    with seeded(1):
        given = model(pixels, ids, generator=generator()).loss
    torch.testing.assert_close(left_out, without)
    assert not torch.equal(left_out, given)


def test_guidance_of_one_is_the_condition_alone(model):
    noisy, levels = torch.randn(2, 4, 8, 8, generator=generator()), torch.tensor([500, 500])
    with torch.no_grad():
        states, without = model.text_states(model.tokens_of(TEXTS)), model.text_states(model.nothing)
        given, empty = model.predict(states)(noisy, levels), model.predict(without.expand_as(states))(noisy, levels)
        assert torch.equal(model.predict(states, without, 1.0)(noisy, levels), given)
        torch.testing.assert_close(model.predict(states, without, 3.0)(noisy, levels), guided(empty, given, 3.0))


# Upstream


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_upstreams_pipeline_draws_the_same(model, scale):
    model.pipeline.set_progress_bar_config(disable=True)
    given = {"guidance_scale": scale, "num_inference_steps": 4}
    images = model.pipeline(TEXTS, generator=generator(), output_type="pt", **given).images
    found = model.generate_images(2, generator(), prompts=TEXTS, **given)
    torch.testing.assert_close(found, images, rtol=1e-4, atol=1e-5)


def test_parameter_counts():  # 1.45 billion of U-Net and text encoder
    assert parameters("latent_diffusion")["paper"] == 83_653_863 + 872_300_484 + 581_994_042


def test_nothing_is_upstreams_past(model):
    kinds = [type(part).__module__ for part in model.pipeline.components.values() if part is not None]
    assert [kind for kind in (*kinds, type(model.pipeline).__module__) if "deprecated" in kind] == []


def test_the_text_encoder_reads_what_the_tokenizer_has(model):
    tokenizer = hfmm.create_processor("latent_diffusion").tokenizer
    assert model.text_encoder.config.vocab_size == len(tokenizer) == len(model.pipeline.tokenizer)


def test_an_unknown_setting_of_the_text_encoder_is_told():
    with pytest.raises(UsageError, match=r"unknown key of latent_diffusion\.text_encoder 'hiden_size'"):
        hfmm.create_model("latent_diffusion", text_encoder={"hiden_size": 3})
