"""The one decoder of pictures: limits checked on the header, then 8-bit RGB (or class indices), or a DataError.

`PIL.Image.open` is not used: it tries some forty formats (one of them starts another program) and only warns of
pictures between 89 and 179 megapixels. Here the first bytes choose one of seven readers.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import IO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hfmm.errors import DataError

MAX_PIXELS = 89_478_485  # where Pillow begins to warn: a quarter of a gigabyte of RGB
MAX_BYTES = 512 * 2**20
MAX_ASPECT = 200  # a line of pixels, resized by its short side, would be as large as a bomb

_READERS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF8", GifImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"BM", BmpImageFile),
    *((f"P{kind}".encode(), PpmImageFile) for kind in range(1, 7)),
)
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_TIFF_TILE = (322, 323)  # width and length of a tile


def decode(data: bytes | Path, target: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture as people see it: first frame, upright, opaque on white, 8-bit RGB.

    Args:
        data: The bytes of a JPEG, PNG, WebP, GIF, TIFF, BMP or PPM file, or its path.
        target: (height, width) in pixels that the reader will resize to. A JPEG is then decoded at a half, a quarter or
            an eighth of its size where that is still at least the target; other formats are decoded whole.
        max_pixels: More are refused from the header, before anything is decoded.

    Raises:
        DataError: Not a picture, too large, truncated or damaged.
    """
    return _decoded(data, target, max_pixels, _to_rgb)


def as_picture(image: Image.Image | str | Path) -> Image.Image:
    """The picture of a path, or one that Pillow opened or a program made, as `decode` gives pictures.

    Raises:
        DataError: As in `decode`.
    """
    if not isinstance(image, Image.Image):
        return decode(Path(image))
    called = "the picture"
    _check_size(image, called, MAX_PIXELS)
    try:
        return _upright(image, called, _to_rgb)
    except OSError as error:  # opened, and not read until now
        raise DataError(f"{called} is truncated or damaged ({error})") from error


def decode_mask(data: bytes | Path, ignore_index: int | None = None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a picture of class indices: grey values, or palette entries.

    Args:
        data: As in `decode`.
        ignore_index: The data set's own "ignore" value, mapped to 255.
        max_pixels: As in `decode`.

    Returns:
        (H, W) int64.

    Raises:
        DataError: As in `decode`, and for a picture in colors.
    """
    mask = np.asarray(_decoded(data, None, max_pixels, _to_indices)).astype(np.int64)  # H W
    return mask if ignore_index is None else np.where(mask == ignore_index, 255, mask)


def _decoded(
    data: bytes | Path,
    target: tuple[int, int] | None,
    max_pixels: int,
    convert: Callable[[Image.Image, str], Image.Image],
) -> Image.Image:
    """Open, check, load, convert and turn upright."""
    called = str(data) if isinstance(data, Path) else "the picture"
    stream = _stream(data, called)
    try:
        with stream:
            image = _opened(stream, called)
            _check_size(image, called, max_pixels)
            if target is not None and isinstance(image, JpegImageFile):
                height, width = target[::-1] if _orientation(image) in _SIDEWAYS else target
                image.draft(None, (width, height))
            return _upright(image, called, convert)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # told in the header's own reader
        raise DataError(f"{called} has too many pixels ({error})") from error
    except Exception as error:  # Pillow raises a dozen kinds on malformed bytes, and documents none of them
        raise DataError(f"{called} is truncated or damaged ({type(error).__name__}: {error})") from error


def _upright(image: Image.Image, called: str, convert: Callable[[Image.Image, str], Image.Image]) -> Image.Image:
    """Load, convert and turn upright."""
    image.load()
    # Read after loading: TIFF turns itself upright then, and PNG may keep its EXIF behind the pixels.
    turn = _UPRIGHT.get(_orientation(image))
    converted = convert(image, called)
    return converted if turn is None else converted.transpose(turn)


def _stream(data: bytes | Path, called: str) -> IO[bytes]:
    if not isinstance(data, Path):
        return BytesIO(data)
    try:
        status = data.stat()
        if not S_ISREG(status.st_mode):
            raise DataError(f"{called} is not a file")
        if status.st_size > MAX_BYTES:
            raise DataError(f"{called} has {status.st_size / 2**20:.0f} MiB, more than the limit of {MAX_BYTES >> 20}")
        return data.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be opened ({error})"
        raise DataError(f"{called}: {reason}") from error


def _opened(stream: IO[bytes], called: str) -> ImageFile:
    """Read the header."""
    first = stream.read(16)
    stream.seek(0)
    if not first:
        raise DataError(f"{called} is empty")
    reader = next((reader for magic, reader in _READERS if first.startswith(magic)), None)
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        reader = WebPImageFile
    if reader is None:
        raise DataError(f"{called} is not a JPEG, PNG, WebP, GIF, TIFF, BMP or PPM picture")
    return reader(stream)


def _check_size(image: Image.Image, called: str, max_pixels: int) -> None:
    """Raise DataError where decoding, or resizing the decoded picture, would take too much memory."""
    sizes: list[tuple[int, ...]] = [image.size]
    if isinstance(image, TiffImageFile):
        sizes.append(tuple(int(image.tag_v2.get(tag, 1)) for tag in _TIFF_TILE))
    for width, height in sizes:
        if width * height > max_pixels:
            limit = f"{max_pixels / 1e6:.3g} megapixels"
            raise DataError(f"{called} has {width} x {height} pixels, more than the limit of {limit}")
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise DataError(f"{called} has {width} x {height} pixels: its sides differ more than {MAX_ASPECT}-fold")


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(_ORIENTATION, 1)


def _to_rgb(image: Image.Image, called: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()  # a plain picture, without the closed file
    if image.mode == "F":
        raise DataError(f"{called} has floating-point pixels, whose range nobody agrees on: store it with 8 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)  # H W
        if values.min() < 0 or values.max() > 0xFFFF:
            raise DataError(f"{called} has pixel values beyond 16 bits: store it with 8 bits")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        solid = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid).convert("RGB")
    return image.convert("RGB")


def _to_indices(image: Image.Image, called: str) -> Image.Image:
    if image.mode not in ("L", "P", "1", "I") and not image.mode.startswith("I;16"):
        raise DataError(f"{called} is a picture in colors ({image.mode}), a mask is grey or has a palette")
    return image.copy()
