"""Scenes: the built-in data set of colored shapes with captions, boxes, masks, depth and questions, all exact.

Importing this package, or its `grammar`, loads the standard library only; `Scenes` loads what it draws with.
"""

from typing import TYPE_CHECKING, Any

from hfmm.data.scenes.grammar import judge, parse, read, score, vocabulary

if TYPE_CHECKING:
    from hfmm.data.scenes.dataset import Scenes

__all__ = ["Scenes", "judge", "parse", "read", "score", "vocabulary"]


def __getattr__(name: str) -> Any:
    if name == "Scenes":
        from hfmm.data.scenes.dataset import Scenes

        return Scenes
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
