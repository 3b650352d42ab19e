"""Scenes: the built-in data set of colored shapes with captions, boxes, masks, depth and questions, all exact.

`Motion` and `Sound` are its clips, `Spoken` is a mouth that says syllables. Importing this package, or its `grammar`,
loads the standard library only; the data sets load what they draw with.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hfmm.data.scenes.grammar import judge, parse, read, score, vocabulary

if TYPE_CHECKING:
    from hfmm.data.scenes.dataset import Scenes
    from hfmm.data.scenes.motion import Motion
    from hfmm.data.scenes.sound import Sound
    from hfmm.data.scenes.spoken import Spoken

__all__ = ["Motion", "Scenes", "Sound", "Spoken", "judge", "parse", "read", "score", "vocabulary"]

CLIP_VIEWS = {"motion": "Motion", "sound": "Sound", "spoken": "Spoken"}  # views with a class of their own
_MODULES = {name: view for view, name in CLIP_VIEWS.items()} | {"Scenes": "dataset"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
