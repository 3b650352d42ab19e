"""Drawing with DDPM: algorithm 2, DDIM and DPM-Solver over one model, upstream's pipeline, classes with guidance."""

import pytest
import torch
from diffusers import DDIMScheduler

from hfmm.nn.diffusion import Sampling, denoise, guided, sampler_of, signal_and_noise
from tests.models.generation.tiny_ddpm import random, scheduler, tiny
from tests.testing_diffusion import generator


def steps_of(model, sampling, seed=2):
    """Where a sampler goes from one noise."""
    noise = torch.randn(2, 1, 8, 8, generator=generator(seed))
    with torch.no_grad():
        return [noisy for noisy, _ in denoise(model.predict(), noise, model.scheduler, sampling, generator(9))]


def test_sampling_is_algorithm_2():
    model = tiny(scheduler={"clip_sample": False, "num_train_timesteps": 20})
    found = steps_of(model, Sampling("ddpm", num_inference_steps=20))
    betas = torch.linspace(1e-4, 0.02, 20)
    kept = torch.cumprod(1 - betas, 0)
    values, draws = found[0], generator(9)
    for level, place in zip(range(19, -1, -1), range(1, 21), strict=True):
        with torch.no_grad():
            noise = model.unet(values, level).sample
        values = (values - betas[level] / (1 - kept[level]).sqrt() * noise) / (1 - betas[level]).sqrt()
        values = values + (betas[level].sqrt() * torch.randn(2, 1, 8, 8, generator=draws) if level else 0)
        torch.testing.assert_close(found[place], values, rtol=1e-3, atol=1e-3)


def test_ddim_with_eta_1_is_ddpm():
    """Song et al. 2021, Eq. 16: with the posterior's variance, at every level and with the same noise."""
    model = tiny(scheduler={"variance_type": "fixed_small", "num_train_timesteps": 30})
    ddpm = steps_of(model, Sampling("ddpm", num_inference_steps=30))
    ddim = steps_of(model, Sampling("ddim", num_inference_steps=30, eta=1.0))
    for one, other in zip(ddpm[:-1], ddim[:-1], strict=True):  # at last DDIM adds a noise of no size
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_ddim_without_noise_is_a_function_of_where_it_starts():  # Song et al. 2021, section 4.1
    model, noise = tiny(), torch.randn(1, 1, 8, 8, generator=generator())
    ends = []
    for seed in (1, 2):
        with torch.no_grad():
            *_, (images, _) = denoise(
                model.predict(), noise, model.scheduler, Sampling("ddim", 5, eta=0.0), generator(seed)
            )
        ends.append(images)
    assert torch.equal(*ends)
    assert not torch.equal(
        model.generate_images(1, generator(1), eta=1.0, num_inference_steps=5),
        model.generate_images(1, generator(1), eta=0.0, num_inference_steps=5),
    )


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_every_sampler_finds_the_one_picture_that_a_model_knows(sampler):
    forward, clean = scheduler(prediction_type="epsilon", clip_sample=True), random(1, 1, 4, 4)

    def predict(noisy, levels):  # the noise that is left when the picture is taken away
        signal, noise = signal_and_noise(forward, levels, noisy)
        return (noisy - signal * clean) / noise

    start = torch.randn(1, 1, 4, 4, generator=generator())
    *_, (found, _) = denoise(predict, start, forward, Sampling(sampler, 20, eta=0.0), generator())
    torch.testing.assert_close(found, clean, rtol=0, atol=0.05)


def test_an_unknown_sampler_is_told():
    with pytest.raises(ValueError, match="must be one of ddpm, ddim, dpm_solver"):
        sampler_of("euler", scheduler())


def test_upstreams_pipeline_draws_what_the_sampler_does():
    model = tiny(scheduler={"clip_sample": False})
    images = model.pipeline(2, generator=generator(), num_inference_steps=4, output_type="pt").images
    found = model.generate_images(2, generator(), sampler="ddpm", num_inference_steps=4)
    torch.testing.assert_close(found, images)
    model.pipeline.scheduler = DDIMScheduler.from_config(model.scheduler.config)
    images = model.pipeline(2, generator=generator(), num_inference_steps=4, output_type="pt").images
    found = model.generate_images(2, generator(), sampler="ddim", num_inference_steps=4, eta=0.0)
    torch.testing.assert_close(found, images)


# Classes


def with_classes(count=4):
    return tiny(unet={"num_class_embeds": count})


def test_guidance_goes_away_from_no_class():  # Ho and Salimans 2021
    model, noisy, levels = with_classes(), random(2, 1, 8, 8), torch.tensor([500, 500])
    labels = torch.tensor([0, 2])
    with torch.no_grad():
        given, without = model.predict(labels)(noisy, levels), model.predict()(noisy, levels)
        torch.testing.assert_close(model.unet(noisy, levels, torch.tensor([3, 3])).sample, without)
        torch.testing.assert_close(model.predict(labels, 3.0)(noisy, levels), without + 3 * (given - without))
    assert torch.equal(guided(without, given, 1.0), without + (given - without))
    assert not torch.equal(given, without)


def test_classes_are_left_out_as_often_as_asked():
    model, seen = with_classes(), []
    inside = model.unet.class_embedding.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    pixels, labels = random(200, 1, 8, 8), torch.zeros(200, dtype=torch.long)
    for dropout in (0.0, 0.3):
        model(pixels, labels, condition_dropout=dropout, generator=generator())
    inside.remove()
    assert (seen[0] == 0).all()
    assert (seen[1] == 3).float().mean().item() == pytest.approx(0.3, abs=0.1)
