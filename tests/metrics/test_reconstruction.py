"""PSNR and structural similarity: by hand, by an independent statement, and by scikit-image where it is installed."""

import math

import numpy as np
import pytest
from PIL import Image

from hfmm import metrics
from hfmm.errors import DataError, UsageError


def compute(predictions, references, **options):
    return metrics.load("reconstruction").compute(predictions=predictions, references=references, **options)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noisy(values, strength=40, seed=1):
    noise = np.random.default_rng(seed).normal(0, strength, values.shape)
    return np.clip(values + noise, 0, 255).astype(np.uint8)


def stated(one, other):
    """The index of Wang et al., window by window, from the weighted moments themselves. Two of (H, W)."""
    places = np.arange(11) - 5
    window = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(one.shape[0] - 10):
        for left in range(one.shape[1] - 10):
            x, y = (part[top : top + 11, left : left + 11].astype(float) for part in (one, other))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            light = (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)
            contrast = (2 * covariance + 58.5225) / (variance_x + variance_y + 58.5225)
            values.append(light * contrast)
    return np.mean(values)


def test_psnr_by_hand():
    """An error of 5 levels everywhere: 10 log10 (255^2 / 25)."""
    dark = np.full((12, 12), 100, np.uint8)
    assert compute([dark], [dark + 5])["psnr"] == pytest.approx(10 * math.log10(255**2 / 25))


def test_psnr_gains_six_decibels_when_the_error_is_halved_and_is_infinite_at_equality():
    dark = np.full((12, 12), 100, np.uint8)
    halved = compute([dark], [dark + 4])["psnr"] - compute([dark], [dark + 8])["psnr"]
    assert halved == pytest.approx(20 * math.log10(2))
    assert compute([dark], [dark]) == {"psnr": math.inf, "ssim": 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_similarity_is_the_papers_stated_window_by_window(seed):
    truth = picture(19, 16, seed=seed)
    said = noisy(truth, seed=seed)
    assert compute([said], [truth])["ssim"] == pytest.approx(stated(said, truth), rel=1e-9)


@pytest.mark.parametrize("shape", [(33, 40), (33, 40, 3)])
def test_both_are_those_of_scikit_image(shape):
    peer = pytest.importorskip("skimage.metrics", reason="scikit-image")
    truth = picture(*shape)
    said = noisy(truth)
    axis = -1 if len(shape) == 3 else None
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    found = compute([said], [truth])
    assert found["ssim"] == pytest.approx(peer.structural_similarity(truth, said, channel_axis=axis, **settings))
    assert found["psnr"] == pytest.approx(peer.peak_signal_noise_ratio(truth, said, data_range=255))


def test_scores_are_means_over_pictures_and_channels():
    pairs = [(noisy(picture(14, 15, 3, seed=seed)), picture(14, 15, 3, seed=seed)) for seed in range(3)]
    each = [compute([said], [truth]) for said, truth in pairs]
    together = compute(*zip(*pairs, strict=True))
    for name in ("psnr", "ssim"):
        assert together[name] == pytest.approx(np.mean([scores[name] for scores in each]))
    said, truth = pairs[0]
    channels = [stated(said[..., channel], truth[..., channel]) for channel in range(3)]
    assert each[0]["ssim"] == pytest.approx(np.mean(channels))


def test_the_luminance_within_a_border_can_be_scored_alone():
    """BT.601: white is 235, black 16; what differs in the border alone does not count."""
    white, black = (np.full((15, 15, 3), level, np.uint8) for level in (255, 0))
    assert compute([white], [black], channel="luminance")["psnr"] == pytest.approx(20 * math.log10(255 / 219))
    framed = white.copy()
    framed[:2], framed[-2:], framed[:, :2], framed[:, -2:] = 0, 0, 0, 0
    assert compute([framed], [white], channel="luminance", border=2)["psnr"] == math.inf
    assert compute([framed], [white], channel="luminance", border=1)["psnr"] < 30


def test_pictures_of_pillow_are_taken():
    truth = picture(13, 17, 3)
    assert compute([Image.fromarray(noisy(truth))], [Image.fromarray(truth)]) == compute([noisy(truth)], [truth])


@pytest.mark.parametrize(
    ("predictions", "references", "options", "error", "message"),
    [
        ([picture(9, 30)], [picture(9, 30)], {}, DataError, "prediction 0 has 30 x 9 pixels: ssim needs 11 x 11"),
        ([picture(20, 20)], [picture(20, 20)], {"border": 5}, DataError, "within a border of 5: ssim needs"),
        ([picture(20, 20)], [picture(20, 21)], {}, DataError, "prediction 0 has 20 x 20 x 1 values but its"),
        ([picture(20, 20) / 255], [picture(20, 20)], {}, DataError, "prediction 0 is not a picture of 8 bits"),
        ([picture(20, 20)], [picture(20, 20)], {"channel": "luminance"}, UsageError, "1 channels: luminance is of RGB"),
        ([picture(20, 20)], [picture(20, 20)], {"channel": "red"}, UsageError, "unknown channel 'red'"),
    ],
)
def test_what_cannot_be_scored_is_told(predictions, references, options, error, message):
    with pytest.raises(error, match=message):
        compute(predictions, references, **options)
