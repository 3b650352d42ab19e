"""The one type that every explanation is."""

import base64
import html
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

FRAME_MILLISECONDS = 200


@dataclass(frozen=True)
class Explanation:
    """A prediction, the picture of why, and the numbers behind the picture.

    Attributes:
        title: The prediction in words.
        picture: What a person looks at.
        data: What a program reads; values that JSON can hold.
        frames: The picture in motion, where it has a course.
    """

    title: str
    picture: Image.Image
    data: dict[str, Any] = field(default_factory=dict)
    frames: tuple[Image.Image, ...] = ()

    def save(self, path: str | Path) -> None:
        """Write the picture (any format of Pillow), the data for a `.json` path, a page for `.html`.

        Frames, where there are some, move in a `.gif`.
        """
        path = Path(path)
        if path.suffix == ".json":
            path.write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False), encoding="utf-8")
        elif path.suffix == ".html":
            path.write_text(f"<!doctype html><meta charset=utf-8>{self.to_html()}", encoding="utf-8")
        elif path.suffix == ".gif" and self.frames:
            first, *rest = self.frames
            first.save(path, save_all=True, append_images=rest, duration=FRAME_MILLISECONDS, loop=0)
        else:
            self.picture.save(path)

    def to_dict(self) -> dict[str, Any]:
        """Title and data."""
        return {"title": self.title, **self.data}

    def to_html(self) -> str:
        """A figure with the picture inside, for any page."""
        return f'<figure><img src="{data_url(self.picture)}" alt="{html.escape(self.title, quote=True)}"></figure>'


def data_url(picture: Image.Image) -> str:
    """A picture as a PNG inside a URL."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
