"""Hostile pictures: limits hold before anything is decoded, and damage ends in a picture or one DataError."""

import random
import struct
import tracemalloc
import zlib

import pytest
from PIL import Image

from hfmm.data.images import decode, decode_mask
from hfmm.errors import DataError
from tests.data.files import encoded, natural


def png(width: int, height: int, rows: int = 0) -> bytes:
    """A PNG that says it has that size and holds that many rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes((3 * width + 1) * rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def gif(screen: int, frame: int) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x44\x01\x00;"
    )  # fmt: skip


def webp(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    inside = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + encoded(Image.new("RGB", (8, 8)), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def tiff(side: int, tile: int = 0) -> bytes:
    tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 277: 1}
    tags |= {322: tile, 323: tile, 324: 8, 325: 99} if tile else {273: 8, 278: side, 279: 99}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(104)


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


BOMBS = {
    "png": png(13_000, 13_000, rows=13_000),
    "png of the largest size": png(2**31 - 1, 2**31 - 1),
    "jpeg": jpeg_of_size(60_000, 60_000),
    "gif screen": gif(65_535, 1),
    "gif frame": gif(10, 65_535),
    "webp": webp(13_000, 13_000),
    "webp of the largest size": webp(2**24, 2**8),
    "tiff": tiff(60_000),
    "tiff tile": tiff(10, tile=60_000),
    "bmp": b"BM"
    + struct.pack("<IHHI", 54, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, *[0] * 6),
    "ppm": b"P6 60000 60000 255 ",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header(name):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"megapixels|too many pixels|damaged"):
            decode(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


def test_no_pixel_of_a_bomb_is_decoded(monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"13000 x 13000 pixels, more than the limit of 89.5 megapixels"):
        decode(BOMBS["png"])


def test_the_limit_can_be_set():
    data = encoded(natural(30, 30), "PNG")
    with pytest.raises(DataError, match=r"30 x 30 pixels, more than the limit of 0.0005 megapixels"):
        decode(data, max_pixels=500)
    assert decode(data, max_pixels=900).size == (30, 30)


def test_thin_lines():
    assert decode(png(1, 1, rows=1)).size == (1, 1)
    assert decode(png(200, 1, rows=1)).size == (200, 1)
    with pytest.raises(DataError, match="10000 x 1 pixels: its sides differ more than 200-fold"):
        decode(png(10_000, 1, rows=1))


def mutated(data: bytes, choose: random.Random) -> bytes:
    """Flip, cut out, double or overwrite a few places."""
    bad = bytearray(data)
    for _ in range(choose.randint(1, 6)):
        at = choose.randrange(len(bad))
        way = choose.randrange(5)
        if way == 0:
            bad[at] ^= 1 << choose.randrange(8)
        elif way == 1:
            del bad[at : at + choose.randint(1, 20)]
        elif way == 2:
            bad[at:at] = bad[at : at + choose.randint(1, 20)]
        elif way == 3:
            bad[at : at + 4] = choose.randbytes(4)
        else:
            del bad[max(20, at) :]
        if not bad:
            break
    return bytes(bad)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's on damaged metadata
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_damaged_files_give_a_picture_or_a_data_error(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [natural(48, 32, seed) for seed in range(2)]
    several = {"save_all": True, "append_images": frames[1:]} if kind in ("WEBP", "GIF") else {}
    compression = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    sources = [
        encoded(frames[0], kind, **({} if kind == "GIF" else {"exif": exif}), **compression),
        encoded(frames[0].convert("L"), kind, **several),
    ]
    choose = random.Random(kind)
    refused = 0
    for trial in range(120):
        bad = mutated(sources[trial % 2], choose)
        for read in (lambda data: decode(data, (8, 8)), decode_mask):
            try:
                read(bad)
            except DataError:
                refused += 1
    assert refused > 60
