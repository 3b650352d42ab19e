"""The sound of clips: onset, timbre, pitch, loudness, envelope."""

import numpy as np
import pytest

from hfmm.data.scenes import Motion, Sound, sound
from hfmm.data.scenes.actions import ACTIONS
from hfmm.data.scenes.grammar import COLORS, SHAPES, SIZES
from hfmm.data.scenes.motion import FIELDS
from hfmm.data.scenes.moves import Move
from hfmm.data.scenes.world import Body, Scene

LONE = (1,)


def loudness(audio: np.ndarray) -> float:
    return float(np.sqrt((audio.astype(float) ** 2).mean()))


def heard(shape: str, color: str, size: str, move: Move) -> np.ndarray:
    """The sound of one object in a clip of eight frames."""
    diameter = {"small": 12, "large": 24}[size]
    body = Body(SHAPES.index(shape), COLORS.index(color), 1, 1, diameter, 32, 32, 0, (90, 90, 90))
    return sound.SoundClip(Scene((body,), (0, 0, 0)), [move], bytes(24), 8, 64).audio


def test_fields():
    clips = Sound("test")
    example = clips[3]
    assert set(example) == {"id", "audio", "sampling_rate", "label", "captions"}
    assert example["sampling_rate"] == 16_000
    assert example["audio"].shape == (16_000,)
    assert example["audio"].dtype == np.float32
    assert clips.label_names == ACTIONS
    assert clips.features == {"audio": "audio", "sampling_rate": "number", "label": "label", "captions": "texts"}


def test_the_video_comes_when_asked_for_and_is_that_of_the_motion():
    heard_and_seen, seen = Sound("test", fields=("audio", *FIELDS)), Motion("test", fields=tuple(FIELDS))
    for row in range(5):
        for field in FIELDS:
            np.testing.assert_equal(heard_and_seen[row][field], seen[row][field])


@pytest.mark.parametrize("frames", [8, 11, 16])
def test_the_onset_of_the_sound_is_the_onset_of_the_motion(frames):
    clips = Sound(fields=("audio", "video"), objects=LONE, frames=frames)
    for row in range(100):
        example = clips[row]
        changes = (example["video"][1:] != example["video"][:-1]).any((1, 2, 3))
        onset = np.flatnonzero(np.abs(example["audio"]) > 1e-4)[0] / 16_000  # seconds
        assert onset == pytest.approx(np.flatnonzero(changes)[0] / frames, abs=0.003)  # frame t begins at t / frames
        last = np.flatnonzero(np.abs(example["audio"]) > 0)[-1] / 16_000
        assert last <= (np.flatnonzero(changes)[-1] + 1) / frames + 1e-4


def test_each_onset_is_that_of_its_event():
    clips = Sound(fields=("audio", "events"), objects=(0, 1, 1, 1), size=1000)
    for row in range(300):
        example = clips[row]
        sounding = np.zeros(16_000, bool)
        for event in example["events"]:
            sounding[event["start"] * 2000 : event["end"] * 2000] = True
        assert (example["audio"][~sounding] == 0).all()
        assert np.mean(example["audio"][sounding] != 0) > 0.9


def test_each_shape_has_its_timbre_and_each_color_its_pitch():
    for shape in SHAPES:
        for color in COLORS:
            wave = sound.tone(SHAPES.index(shape), COLORS.index(color))
            seconds = np.arange(16_000) / 16_000
            multiples = np.arange(1, 9)
            # the amplitude of each harmonic, by least squares
            waves = np.sin(2 * np.pi * sound.PITCHES[color] * multiples[:, None] * seconds).T
            amplitudes, rest, *_ = np.linalg.lstsq(waves, wave, rcond=None)
            recipe = np.pad(sound.HARMONICS[shape], (0, 8 - len(sound.HARMONICS[shape])))
            np.testing.assert_allclose(amplitudes, recipe / np.sqrt((recipe**2).sum() / 2), atol=1e-9)
            assert rest < 1e-9
            assert loudness(wave) == pytest.approx(1, abs=0.01)
    assert 8 * max(sound.PITCHES.values()) < 8000  # below half the sampling rate
    assert sound.PITCHES["red"] == 220
    assert sound.PITCHES["purple"] == pytest.approx(440)  # four minor thirds are an octave


def test_timbres_differ():
    recipes = np.stack([np.pad(sound.HARMONICS[shape], (0, 8 - len(sound.HARMONICS[shape]))) for shape in SHAPES])
    recipes = recipes / np.linalg.norm(recipes, axis=1, keepdims=True)
    assert (recipes @ recipes.T)[~np.eye(8, dtype=bool)].max() < 0.96


def test_each_size_has_its_loudness():
    levels = [loudness(heard("circle", "red", size, Move("right", 2, 6, 2))[4000:12_000]) for size in SIZES]
    assert levels[0] == pytest.approx(0.08, rel=0.02)
    assert levels[1] == pytest.approx(0.24, rel=0.02)


def test_each_motion_has_its_envelope():
    def quarters(action: str) -> list[float]:
        """Loudness of the four quarters of a sound, over that of a steady one."""
        audio, steady = (heard("star", "blue", "large", Move(name, 2, 6, 0))[4000:12_000] for name in (action, "right"))
        return [loudness(a) / loudness(b) for a, b in zip(audio.reshape(4, -1), steady.reshape(4, -1), strict=True)]

    assert quarters("right") == [1, 1, 1, 1]
    assert quarters("left") == sorted(quarters("left"), reverse=True)
    assert quarters("left")[3] < 0.05
    assert quarters("growing") == sorted(quarters("growing"))
    np.testing.assert_allclose(quarters("shrinking"), [0.89, 0.66, 0.44, 0.22], atol=0.01)
    envelopes = np.stack([sound.envelope(action, 8000, 2) for action in ACTIONS])
    assert envelopes.min() >= 0
    assert envelopes.max() <= 1
    alike = np.corrcoef(envelopes)[~np.eye(8, dtype=bool)]
    assert np.nanmax(alike) < 0.9
    gaps = {
        action: int((np.diff((sound.envelope(action, 8000, 2) < 0.3).astype(int)) == 1).sum()) for action in ACTIONS
    }
    assert (gaps["up"], gaps["down"], gaps["bouncing"]) == (2 + 1, 4 + 1, 2)  # the last of each is the end


def test_mixtures_stay_below_one():
    clips = Sound(fields=("audio",), objects=(0, 0, 0, 1))
    assert max(np.abs(clips[row]["audio"]).max() for row in range(500)) < 1


def test_what_rests_is_silent():
    body = Body(0, 0, 1, 1, 12, 12, 32, 0, (90, 90, 90))
    moving = [None, Move("right", 1, 5, 1)]
    two = sound.SoundClip(Scene((body, body._replace(x=40)), (0, 0, 0)), moving, bytes(24), 8, 64)
    one = sound.SoundClip(Scene((body._replace(x=40),), (0, 0, 0)), moving[1:], bytes(24), 8, 64)
    assert (two.audio == one.audio).all()
