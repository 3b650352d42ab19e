"""A mouth that says syllables: video, sound and text for lip reading.

Vowels differ in the form of the mouth and in the formants of their sound (Peterson and Barney 1952), consonants in how
far they close it and in their noise. Some share a form (`b` and `m`), so that seeing and hearing tell more together.
Lengths are in units of 1/64 of the picture, times in thousandths of a second; a clip lasts one second.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hfmm.data.examples import Example
from hfmm.data.scenes import world
from hfmm.data.scenes.drawn import Drawn, chosen_fields, whole
from hfmm.data.scenes.moves import MAX_FRAMES, MIN_FRAMES
from hfmm.data.scenes.sound import SAMPLING_RATE
from hfmm.data.scenes.world import SPLITS, UNITS, Draw
from hfmm.errors import UsageError

FIELDS = {"video": "video", "audio": "audio", "sampling_rate": "number", "text": "text", "events": "value"}
SPOKEN_FIELDS = ("video", "audio", "sampling_rate", "text")  # unless others are asked for


class Vowel(NamedTuple):
    """Width and height of the opening, and the first two formants in hertz."""

    width: int
    height: int
    formants: tuple[int, int]


VOWELS = {
    "a": Vowel(28, 24, (730, 1090)),
    "e": Vowel(30, 14, (530, 1840)),
    "i": Vowel(34, 8, (270, 2290)),
    "o": Vowel(20, 20, (570, 840)),
    "u": Vowel(13, 11, (300, 870)),
}
CONSONANTS = {"b": 0.0, "m": 0.0, "d": 0.35, "s": 0.2}  # how far the mouth stays open
SYLLABLES = tuple(consonant + vowel for consonant in CONSONANTS for vowel in VOWELS)
HELD_OUT = ("bo", "me", "di", "su")  # only in test_heldout
_SEEN = tuple(syllable for syllable in SYLLABLES if syllable not in HELD_OUT)
MAX_SYLLABLES = 3
MAX_NOISE = 10.0

_REST = (24, 1)  # width and height of the opening of a closed mouth
_LIP = 4  # thickness
_DARK = (60, 20, 25)  # inside of the mouth
_SKINS = ((236, 200, 175), (205, 160, 125), (140, 95, 70))
_LIPS = (175, 70, 75)
_JITTER = 15  # levels of the color of the lips
_PITCHES = tuple(range(100, 221, 8))  # hertz
_LOUDNESS = 0.1  # root mean square of what is said
_CLOSED = 0.2  # part of a syllable that its consonant lasts
_BANDWIDTH = 90  # of a formant, hertz
_SMOOTHING = 4  # sub-pixels a pixel and side


class Speech(NamedTuple):
    """What is said, when and by whom. Syllable k, a position in SYLLABLES, lasts from `times[k]` to `times[k + 1]`."""

    syllables: tuple[int, ...]
    times: tuple[int, ...]
    x: int
    y: int
    skin: int
    lips: tuple[int, int, int]
    pitch: int

    @property
    def words(self) -> tuple[str, ...]:
        """The syllables in letters."""
        return tuple(SYLLABLES[number] for number in self.syllables)


def signature(speech: Speech) -> int:
    """The number of the only split that may hold this (its position in SPLITS)."""
    numbers = (*speech.syllables, *speech.times, speech.x, speech.y, speech.skin, *speech.lips, speech.pitch)
    return sum(numbers) % len(SPLITS)


def compose(split: str, draw: Draw) -> Speech:
    """Draw what is said; `test_heldout` puts a held-out syllable into each."""
    count = 1 + int(draw() * MAX_SYLLABLES)
    words = [_SEEN[int(draw() * len(_SEEN))] for _ in range(count)]
    if split == "test_heldout":
        words[int(draw() * count)] = HELD_OUT[int(draw() * len(HELD_OUT))]
    first, last = 50 + int(draw() * 151), 800 + int(draw() * 151)
    lengths = [1 + 0.4 * (draw() - 0.5) for _ in range(count)]
    times = [first + round((last - first) * sum(lengths[:k]) / sum(lengths)) for k in range(count + 1)]
    x, y = (UNITS // 2 + int(draw() * 5) - 2 for _ in range(2))
    skin, pitch = int(draw() * len(_SKINS)), _PITCHES[int(draw() * len(_PITCHES))]
    red, green, blue = (level - _JITTER + int(draw() * (2 * _JITTER + 1)) for level in _LIPS)
    syllables = tuple(SYLLABLES.index(word) for word in words)
    speech = Speech(syllables, tuple(times), x, y, skin, (red // 4 * 4, green, blue), pitch)
    missing = (SPLITS.index(split) - signature(speech)) % len(SPLITS)
    return speech._replace(lips=(speech.lips[0] + missing, green, blue))


def openness(speech: Speech, seconds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """How far the mouth is open, 0 to 1, and the syllable (-1: none), at N times. Two of (N,)."""
    edges = np.array(speech.times) / 1000
    syllable = np.searchsorted(edges, seconds, side="right") - 1  # N
    syllable[syllable == len(edges) - 1] = -1
    part = (seconds - edges[syllable]) / np.diff(edges, append=2.0)[syllable]  # N; without meaning where none is said
    closures = np.array([CONSONANTS[word[0]] for word in speech.words])
    rising = np.sin(np.pi * ((part - _CLOSED) / (1 - _CLOSED)).clip(0, 1))
    opened = closures[syllable] + (1 - closures[syllable]) * rising
    return np.where(syllable < 0, 0.0, opened), syllable


@lru_cache(maxsize=len(_PITCHES) * len(VOWELS))
def vowel_sound(vowel: str, pitch: int) -> NDArray[np.float64]:
    """(16000,), a vowel held for a second: harmonics of a pitch through two resonances, of root mean square 1."""
    frequencies = np.arange(pitch, SAMPLING_RATE // 2, pitch)  # K harmonics
    gains = sum(1 / (1 + ((frequencies - formant) / _BANDWIDTH) ** 2) for formant in VOWELS[vowel].formants)  # K
    phases = 2 * np.pi * frequencies[:, None] * np.arange(SAMPLING_RATE) / SAMPLING_RATE  # K 16000
    wave = gains @ np.sin(phases)  # 16000
    return wave / np.sqrt((wave**2).mean())


@lru_cache(maxsize=len(_PITCHES) * len(CONSONANTS))
def consonant_sound(consonant: str, pitch: int) -> NDArray[np.float64]:
    """(16000,), what is heard of a consonant, of root mean square 1 (a burst: at its beginning)."""
    hiss = np.random.default_rng(0).standard_normal(SAMPLING_RATE)
    seconds = np.arange(SAMPLING_RATE) / SAMPLING_RATE
    if consonant == "m":
        return np.sqrt(2) * np.sin(2 * np.pi * pitch * seconds)
    if consonant == "s":
        return np.diff(hiss, prepend=0.0) / np.sqrt(2)  # high
    smooth = np.convolve(hiss, np.ones(16) / 4, "same") if consonant == "b" else hiss  # low, or of all heights
    return smooth * np.exp(-seconds / 0.02)


@lru_cache(maxsize=1024)
def ellipse(width: int, height: int, picture_size: int) -> Image.Image:
    """Coverage of an ellipse of a width and a height in quarters of a unit, tight around it, mode L, even sides."""
    scale = picture_size / UNITS / 8  # pixels in an eighth of a unit
    middle = [math.ceil(length * scale) * _SMOOTHING for length in (width, height)]
    reach = [length * scale * _SMOOTHING for length in (width, height)]
    fine = Image.new("L", (2 * middle[0], 2 * middle[1]), 0)
    box = [middle[0] - reach[0], middle[1] - reach[1], middle[0] + reach[0], middle[1] + reach[1]]
    ImageDraw.Draw(fine).ellipse(box, fill=255)
    return fine.reduce(_SMOOTHING)


class Saying:
    """A mouth that says something, each field made when it is first asked for. T frames of S by S pixels.

    Args:
        speech: What is said.
        key: Of the example's noise (see `world.key_of`).
        frames: T.
        picture_size: S.
        noise: See `Spoken`.
    """

    sampling_rate = SAMPLING_RATE

    def __init__(self, speech: Speech, key: bytes, frames: int, picture_size: int, noise: float) -> None:
        self.speech, self.key = speech, key
        self.frames, self.picture_size, self.noise = frames, picture_size, noise

    @cached_property
    def text(self) -> str:
        """The syllables, such as `ba mi`."""
        return " ".join(self.speech.words)

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """`text`, `start` and `end` of each syllable, in seconds."""
        times = [time / 1000 for time in self.speech.times]
        return [
            {"text": word, "start": start, "end": end}
            for word, start, end in zip(self.speech.words, times, times[1:], strict=False)
        ]

    @cached_property
    def video(self) -> NDArray[np.uint8]:
        """(T, S, S, 3), RGB: the mouth in the middle of the time of each frame, frame t from t / T to (t + 1) / T s."""
        opened, syllables = openness(self.speech, (np.arange(self.frames) + 0.5) / self.frames)
        return np.stack(
            [
                np.asarray(self._frame(float(share), None if syllable < 0 else self.speech.words[syllable][1]))
                for share, syllable in zip(opened, syllables, strict=True)
            ]
        )

    def _frame(self, share: float, vowel: str | None) -> Image.Image:
        """The mouth on its way, by a share, from rest to the form of a vowel."""
        size = self.picture_size
        full = VOWELS[vowel][:2] if vowel else _REST
        width, height = (round(4 * (rest + share * (most - rest))) for rest, most in zip(_REST, full, strict=True))
        x, y = (round(at * size / UNITS) for at in (self.speech.x, self.speech.y))
        image = Image.new("RGB", (size, size), _SKINS[self.speech.skin])
        for color, rim in ((self.speech.lips, 8 * _LIP), (_DARK, 0)):
            form = ellipse(width + rim, height + rim, size)
            image.paste(color, (x - form.width // 2, y - form.height // 2), form)
        return image

    @cached_property
    def speech_sound(self) -> NDArray[np.float64]:
        """(16000,), what is said, without noise, of root mean square 0.1."""
        opened, _ = openness(self.speech, np.arange(SAMPLING_RATE) / SAMPLING_RATE)
        sound = np.zeros(SAMPLING_RATE)
        for word, start, end in zip(self.speech.words, self.speech.times, self.speech.times[1:], strict=False):
            first, last = (time * SAMPLING_RATE // 1000 for time in (start, end))
            closed = first + round(_CLOSED * (last - first))
            voiced = vowel_sound(word[1], self.speech.pitch)[: last - closed]
            sound[first:closed] = 0.3 * consonant_sound(word[0], self.speech.pitch)[: closed - first]
            sound[closed:last] = (opened[closed:last] - CONSONANTS[word[0]]) * voiced
        return _LOUDNESS * sound / np.sqrt((sound**2).mean())

    @cached_property
    def audio(self) -> NDArray[np.float32]:
        """(16000,), one second, made softer where noise would take it beyond 1."""
        audio = self.speech_sound
        if self.noise:
            hiss = np.random.default_rng(list(self.key)).standard_normal(SAMPLING_RATE)
            audio = audio + _LOUDNESS * self.noise * hiss / np.sqrt((hiss**2).mean())
        return (audio / max(1.0, np.abs(audio).max())).astype(np.float32)


class Spoken(Drawn):
    """A mouth that says one to three syllables in a second: `video`, `audio`, `sampling_rate`, `text`.

    Args:
        split: `train`, `validation`, `test` (new ones) or `test_heldout` (a syllable never trained on in each).
        size: Number of examples; 100,000 for training and 1,000 otherwise by default. Costs no memory.
        seed: Of every choice. The same row of the same arguments is the same example in any process.
        noise: Root mean square of white noise over that of what is said, 0 to 10: 0 is clean, 1 is 0 dB, 0.316 10 dB.
        frames: A second, 8 to 16.
        picture_size: Pixels a side, 32 to 1024. The same mouth at every size.
        fields: Any of FIELDS (`Saying` says what each is); by default the four above.

    Raises:
        UsageError: An argument is not one of these.
    """

    def __init__(
        self,
        split: str = "train",
        size: int | None = None,
        seed: int = 0,
        noise: float = 0.0,
        frames: int = MAX_FRAMES,
        picture_size: int = 64,
        fields: Sequence[str] | None = None,
    ) -> None:
        super().__init__("scenes:spoken", split, size, seed, picture_size)
        if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise <= MAX_NOISE:
            raise UsageError(f"'noise' of scenes must be a number from 0 to {MAX_NOISE:g}, not {noise!r}")
        self.noise = float(noise)
        self.frames = whole("frames", frames, MIN_FRAMES, MAX_FRAMES)
        self.features = {field: FIELDS[field] for field in chosen_fields(fields, SPOKEN_FIELDS, FIELDS)}

    def read(self, row: int) -> Example:
        """The example of a row, a pure function of it and of the arguments."""
        said = self.saying(row)
        return {"id": f"scenes-{self.split}-{row}"} | {field: attrgetter(field)(said) for field in self.features}

    def saying(self, row: int) -> Saying:
        """What is said in a row."""
        key = world.key_of(self.seed, f"{self.split}/spoken", row)
        speech = compose(self.split, world.stream(key, "world"))
        return Saying(speech, key, self.frames, self.picture_size, self.noise)
