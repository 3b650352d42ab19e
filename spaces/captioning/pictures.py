"""Pictures in and out: uploads are looked at before they are decoded; attention is drawn over what the model saw."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

MAX_PIXELS = 40_000_000  # 120 MB of RGB
MAX_ASPECT = 200  # a line of pixels, resized by its short side, would be as large as a bomb
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
ADDRESSES = ("http", "https", "ftp", "file", "data")
LIMIT = f"the limit is {MAX_PIXELS // 1_000_000} megapixels"
SIDE = 160  # pixels of a panel
DIMMED = 0.4  # brightness of what was not looked at
FONT_SIZE = 14
INK, PAPER = (28, 30, 33), (255, 255, 255)


def guarded(image: gr.Image) -> gr.Image:
    """A picture input that takes uploaded files only: no web address, no SVG, no bomb.

    The two methods are replaced on the object because gradio writes a file beside the source of every subclass.
    """
    keep = image.async_move_resource_to_block_cache

    def preprocess(payload: Any) -> Image.Image | None:
        if payload is None:
            return None
        if payload.path is None:
            raise refusal("Send the picture as an uploaded file.")
        return decode(Path(payload.path))

    async def keep_uploads(where: str | Path | None) -> str | None:
        if str(where).partition(":")[0].lower() in ADDRESSES:
            raise refusal("Web addresses are not fetched: upload the picture.")
        return await keep(where)

    image.preprocess = preprocess
    image.async_move_resource_to_block_cache = keep_uploads
    return image


def refusal(reason: str) -> gr.Error:
    """The error that a visitor sees; the log stays silent about it."""
    return gr.Error(reason, title="This does not work", print_exception=False)


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


def seen_by(processor: Any, picture: Image.Image) -> Image.Image:
    """What the image processor cuts out of a picture, before normalization, SIDE pixels wide."""
    prepared = processor.image_processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")
    pixels = np.moveaxis(np.asarray(prepared["pixel_values"][0]), 0, -1)  # H W 3
    return Image.fromarray(pixels.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def overlay(picture: Image.Image, attention: np.ndarray) -> Image.Image:
    """A picture lit where attention (h, w) lies (Xu et al. 2015, figure 5)."""
    small = Image.fromarray((attention / max(float(attention.max()), 1e-12) * 255).astype(np.uint8))
    cell = picture.width / attention.shape[1]
    light = small.resize(picture.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(cell / 3))
    brightness = DIMMED + (1 - DIMMED) * np.asarray(light, dtype=np.float32)[:, :, None] / 255  # H W 1
    return Image.fromarray((np.asarray(picture, dtype=np.float32) * brightness).astype(np.uint8))


def sheet_of(panels: Sequence[tuple[Image.Image, str]], columns: int = 4) -> Image.Image:
    """All panels of an answer on one sheet, each over its word; a single one as it is."""
    if len(panels) == 1:
        return panels[0][0]
    step, gap = FONT_SIZE + 8, 6
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + gap) + gap, rows * (SIDE + step + gap) + gap), PAPER)
    draw, face = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for index, (picture, word) in enumerate(panels):
        left, top = gap + index % columns * (SIDE + gap), gap + index // columns * (SIDE + step + gap)
        sheet.paste(picture, (left, top))
        draw.text((left, top + SIDE + 2), word, INK, face)
    return sheet
