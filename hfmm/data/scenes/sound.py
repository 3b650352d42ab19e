"""The sound of clips: each shape has a timbre, each color a pitch, each size a loudness, each motion an envelope."""

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hfmm.data.scenes import motion, moves
from hfmm.data.scenes.grammar import COLORS, SHAPES

SAMPLING_RATE = 16_000  # samples a second; a clip lasts one
HARMONICS = {
    "circle": (1.0,),
    "square": (1.0, 0.0, 1 / 3, 0.0, 1 / 5, 0.0, 1 / 7),
    "triangle": (1.0, 0.0, 1.0),
    "star": tuple(1 / number for number in range(1, 9)),
    "cross": (1.0, 0.0, 0.0, 1.0),
    "ring": (1.0, 1.0),
    "diamond": (0.3, 0.6, 1.0, 0.6, 0.3),
    "heart": (0.3, 1.0, 0.0, 0.6),
}  # relative amplitudes of the multiples of the pitch
PITCHES = {color: 220 * 2 ** (number / 4) for number, color in enumerate(COLORS)}  # hertz, in minor thirds
LOUDNESS = {"small": 0.08, "large": 0.24}  # root mean square of the steady sound; four objects stay below 1
_EDGE = 80  # samples to rise and to fall in, so that nothing clicks
_FALL = 4.5  # what is struck falls to exp(-4.5), a ninetieth
_LEVELS: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64], int], NDArray[np.float64]]] = {
    "left": lambda part, seconds, hops: np.exp(-_FALL * part),
    "right": lambda part, seconds, hops: np.ones_like(part),
    "up": lambda part, seconds, hops: np.abs(np.cos(2 * np.pi * part)),  # two gaps
    "down": lambda part, seconds, hops: np.abs(np.cos(4 * np.pi * part)),  # four gaps
    "growing": lambda part, seconds, hops: 0.1 + 0.9 * part,
    "shrinking": lambda part, seconds, hops: 1 - 0.9 * part,
    "turning": lambda part, seconds, hops: 0.6 + 0.4 * np.cos(2 * np.pi * 12 * seconds),  # a tremolo of 12 hertz
    "bouncing": lambda part, seconds, hops: np.exp(-_FALL * (part * hops % 1)),  # struck at each hop
}  # by part of the sound, seconds and hops


@lru_cache(maxsize=len(SHAPES) * len(COLORS))
def tone(shape: int, color: int) -> NDArray[np.float64]:
    """(16000,), the steady sound of a shape and a color, of root mean square 1."""
    amplitudes = np.array(HARMONICS[SHAPES[shape]])  # N harmonics
    multiples = np.arange(1, len(amplitudes) + 1)  # N
    phase = 2 * np.pi * PITCHES[COLORS[color]] * np.arange(SAMPLING_RATE) / SAMPLING_RATE  # 16000
    return (amplitudes @ np.sin(multiples[:, None] * phase)) / np.sqrt((amplitudes**2).sum() / 2)


def envelope(action: str, samples: int, hops: int) -> NDArray[np.float64]:
    """(samples,), 0 to 1, how the sound of an action swells and fades; `hops` are those of a bounce."""
    seconds = np.arange(samples) / SAMPLING_RATE
    part = np.arange(samples) / samples  # of the time that it lasts
    inside = np.arange(1, samples + 1)
    return _LEVELS[action](part, seconds, hops) * np.minimum(1, np.minimum(inside, inside[::-1]) / _EDGE)


class SoundClip(motion.Clip):
    """A clip that can be heard."""

    sampling_rate = SAMPLING_RATE

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """(16000,), one second: each moving object sounds from the frame where its move starts to where it ends.

        Frame t begins at t / T seconds. What rests is silent.
        """
        audio = np.zeros(SAMPLING_RATE)
        for event in self.events:
            body, words = self.scene.bodies[event["object"]], self._named[event["object"]]
            first, last = (round(SAMPLING_RATE * event[edge] / self.frames) for edge in ("start", "end"))
            level = envelope(event["action"], last - first, (event["end"] - event["start"]) // moves.HOP)
            audio[first:last] += LOUDNESS[words["size"]] * level * tone(body.shape, body.color)[: last - first]
        return audio.astype(np.float32)


class Sound(motion.Motion):
    """The clips of `Motion` as sounds: `audio` (one second), `sampling_rate` (16,000), `label`, `captions`.

    Arguments and fields are those of `Motion`, and the same row is the same clip; `video` and the others come when they
    are asked for.
    """

    view = "sound"
    known = motion.FIELDS | {"audio": "audio", "sampling_rate": "number"}
    usual = ("audio", "sampling_rate", "label", "captions")
    clip_type = SoundClip
