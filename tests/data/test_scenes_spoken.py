"""A mouth that says syllables: rhythm, noise, forms and sounds, splits."""

from collections import Counter

import numpy as np
import pytest

from hfmm.data.scenes import Spoken, spoken, world
from hfmm.errors import UsageError

DARK = 100  # red levels below this are the inside of the mouth


def opening(video: np.ndarray) -> np.ndarray:
    """(T,), how many pixels of the inside of the mouth one sees in each frame."""
    return (video[..., 0] < DARK).sum((1, 2))


def said(words: tuple[str, ...], times: tuple[int, ...], noise: float = 0.0) -> spoken.Saying:
    syllables = tuple(spoken.SYLLABLES.index(word) for word in words)
    speech = spoken.Speech(syllables, times, 32, 32, 0, (175, 70, 75), 148)
    return spoken.Saying(speech, bytes(range(24)), 16, 64, noise)


def test_fields():
    clips = Spoken("test", fields=tuple(spoken.FIELDS))
    example = clips[2]
    assert example["video"].shape == (16, 64, 64, 3)
    assert example["video"].dtype == np.uint8
    assert (example["audio"].shape, example["audio"].dtype) == ((16_000,), np.float32)
    assert example["sampling_rate"] == 16_000
    assert example["text"].split(" ") == [event["text"] for event in example["events"]]
    assert set(example["text"].split(" ")) <= set(spoken.SYLLABLES)
    assert set(Spoken("test")[2]) == {"id", "video", "audio", "sampling_rate", "text"}


def test_the_mouth_opens_in_the_rhythm_of_the_sound():
    clips = Spoken(fields=("video", "audio", "events"))
    alike = []
    for row in range(300):
        example = clips[row]
        opened, middles = (
            opening(example["video"]),
            [(event["start"] + event["end"]) / 2 for event in example["events"]],
        )
        loud = np.sqrt((example["audio"].astype(float).reshape(16, 1000) ** 2).mean(1))
        alike.append(np.corrcoef(np.sqrt(opened), loud)[0, 1])
        assert min(opened[int(16 * middle)] for middle in middles) > 3 * opened[15]
    assert np.mean(alike) > 0.85
    assert np.mean(np.array(alike) > 0.5) > 0.98


def test_silence_and_a_closed_mouth_before_and_after():
    for row in range(100):
        example = Spoken(fields=("video", "audio", "events"))[row]
        start, end = example["events"][0]["start"], example["events"][-1]["end"]
        assert (example["audio"][: round(start * 16_000) - 1] == 0).all()
        assert (example["audio"][round(end * 16_000) + 1 :] == 0).all()
        assert np.abs(example["audio"][round(start * 16_000) :][:200]).max() > 0.01
        times = (np.arange(16) + 0.5) / 16
        shut = opening(example["video"])[(times < start) | (times > end)]
        assert (shut == shut[0]).all()


def test_openness_by_hand():
    speech = said(("da", "bu"), (100, 500, 900)).speech
    opened, syllable = spoken.openness(speech, np.array([0.05, 0.1, 0.17, 0.34, 0.499, 0.501, 0.74, 0.9]))
    assert syllable.tolist() == [-1, 0, 0, 0, 0, 1, 1, -1]
    np.testing.assert_allclose(opened, [0, 0.35, 0.35, 1, 0.355, 0, 1, 0], atol=0.01)


@pytest.mark.parametrize(("noise", "decibels"), [(0.1, 20), (10**-0.5, 10), (1.0, 0), (3.0, -9.54)])
def test_the_noise_is_at_the_chosen_level(noise, decibels):
    for row in range(5):
        clean, noisy = (Spoken(fields=("audio",), noise=level)[row]["audio"].astype(float) for level in (0, noise))
        assert np.sqrt((clean**2).mean()) == pytest.approx(0.1)
        scale = (clean @ noisy) / (clean @ clean)  # below 1 where a peak would exceed 1; noise is all but orthogonal
        rest = noisy - scale * clean
        assert 10 * np.log10(scale**2 * (clean @ clean) / (rest @ rest)) == pytest.approx(decibels, abs=0.3)
        assert np.abs(noisy).max() <= 1


def test_without_noise_a_mouth_is_clean_and_the_noise_changes_nothing_else():
    clean, noisy = Spoken("test")[0], Spoken("test", noise=1)[0]
    assert (clean["video"] == noisy["video"]).all()
    assert clean["text"] == noisy["text"]
    start = round(1000 * Spoken("test", fields=("events",))[0]["events"][0]["start"]) * 16
    assert (clean["audio"][:start] == 0).all()
    assert np.sqrt((noisy["audio"][:start] ** 2).mean()) == pytest.approx(0.1, rel=0.15)


def test_exact_ratio_of_signal_to_noise():
    saying = said(("ba",), (100, 900), noise=0.5)
    rest = saying.audio - saying.speech_sound  # no peak of this one exceeds 1
    assert 20 * np.log10(np.sqrt((saying.speech_sound**2).mean() / (rest**2).mean())) == pytest.approx(6.02, abs=0.01)


def test_b_and_m_look_alike_and_sound_different():
    first, second = (said((word, "so"), (100, 500, 900)) for word in ("ba", "ma"))
    assert (first.video == second.video).all()
    assert np.abs(first.audio - second.audio).max() > 0.01


def test_every_pair_of_vowels_looks_and_sounds_different():
    sayings = [said((f"d{vowel}",), (100, 900)) for vowel in spoken.VOWELS]
    for number, one in enumerate(sayings):
        for other in sayings[:number]:
            assert np.abs(one.video[8].astype(int) - other.video[8]).mean() > 1
            spectra = [np.abs(np.fft.rfft(each.audio[6000:10_000])) for each in (one, other)]
            assert np.corrcoef(spectra)[0, 1] < 0.95


def test_vowels_have_their_formants():
    for name, vowel in spoken.VOWELS.items():
        spectrum = np.abs(np.fft.rfft(spoken.vowel_sound(name, 100)))  # bins of one hertz
        heights = {frequency: spectrum[frequency] for frequency in range(100, 8000, 100)}
        loudest = max(heights, key=heights.__getitem__)
        assert min(abs(loudest - formant) for formant in vowel.formants) <= 60
        second = vowel.formants[1] // 100 * 100
        assert max(heights[second], heights[second + 100]) > 3 * heights[second + 600]


def test_held_out_syllables_are_absent_from_20000_training_clips():
    seen = {word for row in range(20_000) for word in Spoken().saying(row).speech.words}
    assert seen == set(spoken.SYLLABLES) - set(spoken.HELD_OUT)
    found = [set(Spoken("test_heldout").saying(row).speech.words) & set(spoken.HELD_OUT) for row in range(500)]
    assert all(found)


def test_splits_share_no_clip_and_clips_differ():
    for number, split in enumerate(world.SPLITS):
        speeches = [Spoken(split).saying(row).speech for row in range(1000)]
        assert {spoken.signature(speech) for speech in speeches} == {number}
        assert len(set(speeches)) == 1000


def test_class_balance():
    speeches = [Spoken().saying(row).speech for row in range(6000)]
    lengths = Counter(len(speech.syllables) for speech in speeches)
    assert max(lengths.values()) < 1.15 * min(lengths.values())
    words = Counter(word for speech in speeches for word in speech.words)
    assert max(words.values()) < 1.25 * min(words.values())


@pytest.mark.parametrize("frames", [8, 13])
@pytest.mark.parametrize("picture_size", [32, 100, 256])
def test_the_same_mouth_at_every_size(picture_size, frames):
    example, usual = Spoken(picture_size=picture_size, frames=frames)[7], Spoken(frames=frames)[7]
    assert example["video"].shape == (frames, picture_size, picture_size, 3)
    share = opening(example["video"]) / picture_size**2
    np.testing.assert_allclose(share, opening(usual["video"]) / 64**2, atol=0.03)
    assert (example["audio"] == usual["audio"]).all()


@pytest.mark.parametrize("noise", [-0.1, 10.5, "loud", True, float("nan")])
def test_a_level_of_noise_that_is_none_is_told(noise):
    with pytest.raises(UsageError, match="'noise' of scenes must be a number from 0 to 10, not"):
        Spoken(noise=noise)
