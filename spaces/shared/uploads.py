"""What visitors send: pictures are looked at before they are decoded, and nothing is fetched."""

import warnings
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from hfmm.errors import DataError, UsageError

MAX_PIXELS = 40_000_000  # 120 MB of RGB
MAX_ASPECT = 200  # a line of pixels, resized by its short side, would be as large as a bomb
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
ADDRESSES = ("http", "https", "ftp", "file", "data")
LIMIT = f"the limit is {MAX_PIXELS // 1_000_000} megapixels"


def guarded(image: gr.Image) -> gr.Image:
    """A picture input that takes uploaded files only: no web address, no SVG, no bomb."""

    def preprocess(payload: Any) -> Image.Image | None:
        return None if payload is None else _decoded(payload)

    return _with_uploads_only(image, preprocess)


def guarded_several(files: gr.File, most: int) -> gr.File:
    """The same for an input of several files, of which the app gets (name, picture) pairs.

    Args:
        files: With `file_count="multiple"`.
        most: Pictures.
    """

    def preprocess(payload: Any) -> list[tuple[str, Image.Image]]:
        sent = [] if payload is None else payload.root
        if len(sent) > most:
            raise refusal(f"These are {len(sent)} pictures: the limit is {most}.")
        return [(each.orig_name or Path(each.path or "").name, _decoded(each)) for each in sent]

    return _with_uploads_only(files, preprocess)


def guarded_words(words: gr.MultimodalTextbox, most: int) -> gr.MultimodalTextbox:
    """The same for an input of words and pictures, of which the app gets the words and the (file, picture) pairs.

    Args:
        words: With `file_count="multiple"`.
        most: Pictures.
    """

    def preprocess(payload: Any) -> tuple[str, list[tuple[str, Image.Image]]]:
        sent = [] if payload is None else payload.files
        if len(sent) > most:
            raise refusal(f"These are {len(sent)} pictures: the limit is {most}.")
        return "" if payload is None else payload.text, [(each.path, _decoded(each)) for each in sent]

    return _with_uploads_only(words, preprocess)


def _decoded(sent: Any) -> Image.Image:
    if sent.path is None:
        raise refusal("Send the picture as an uploaded file.")
    return decode(Path(sent.path))


def _with_uploads_only(component: Any, preprocess: Callable[[Any], Any]) -> Any:
    """Give a component a guarded class of its own.

    The class and not the object, because gradio makes a new object of it for each visitor who chooses an example. It is
    made by Python's own metaclass because gradio's writes a file beside the source of every class.
    """
    kind = type(component)

    async def keep_uploads(self: Any, where: str | Path | None) -> str | None:
        if str(where).partition(":")[0].lower() in ADDRESSES:
            raise refusal("Web addresses are not fetched: upload the picture.")
        kept: str | None = await kind.async_move_resource_to_block_cache(self, where)
        return kept

    methods = {
        "__module__": kind.__module__,
        "preprocess": lambda self, payload: preprocess(payload),
        "async_move_resource_to_block_cache": keep_uploads,
    }
    component.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), methods)
    return component


def refusal(reason: str) -> gr.Error:
    """The error that a visitor sees; the log stays silent about it."""
    return gr.Error(reason, title="This does not work", print_exception=False)


@contextmanager
def told() -> Iterator[None]:
    """What a model cannot do is told to the visitor in its own words."""
    try:
        yield
    except (UsageError, DataError) as error:
        raise refusal(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def given(picture: Image.Image | None) -> Image.Image:
    """A picture that is there."""
    if picture is None:
        raise refusal("Upload a picture first, or choose an example.")
    return picture


def decode(path: Path) -> Image.Image:
    """Decode a picture, its limits checked on the header, into upright RGB on white.

    Raises:
        gr.Error: Not a picture, too large, truncated or damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            image = Image.open(path, formats=FORMATS)
        check_size(*image.size)
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            solid = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
        return upright.convert("RGB")
    except gr.Error:
        raise
    except Image.DecompressionBombError as error:
        raise refusal(f"The picture has too many pixels: {LIMIT}.") from error
    except Exception as error:  # Pillow raises a dozen kinds on malformed bytes, and documents none of them
        reason = f"This is no picture that can be read: send a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file."
        raise refusal(reason) from error


def check_size(width: int, height: int) -> None:
    """Raise gr.Error where decoding, or resizing the decoded picture, would take too much memory."""
    if width * height > MAX_PIXELS:
        raise refusal(f"The picture has {width} x {height} pixels: {LIMIT}.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise refusal(f"The picture has {width} x {height} pixels: its sides differ more than {MAX_ASPECT}-fold.")
