"""Decoding: any picture becomes upright 8-bit RGB or one DataError."""

import numpy as np
import pytest
from PIL import Image

from hfmm.data.images import decode, decode_mask
from hfmm.errors import DataError
from tests.data.files import encoded, natural

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def corners(width: int = 40, height: int = 20) -> Image.Image:
    """Red with a green left-upper and a blue right-lower quarter."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (0, 0, width // 2, height // 2))
    image.paste(BLUE, (width // 2, height // 2, width, height))
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_common_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decode(encoded(corners(), kind, **options))
    assert (picture.mode, picture.size) == ("RGB", (40, 20))
    np.testing.assert_allclose(np.asarray(picture)[::19, ::39].reshape(4, 3), [GREEN, RED, RED, BLUE], atol=3)


def test_a_file_and_its_bytes_are_the_same_picture(tmp_path):
    data = encoded(natural(30, 30), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data)
    assert decode(tmp_path / "a.jpg").tobytes() == decode(data).tobytes()


def test_grey_palette_and_cmyk_become_rgb():
    grey = decode(encoded(Image.new("L", (4, 4), 100), "PNG"))
    assert grey.getpixel((0, 0)) == (100, 100, 100)
    palette = decode(encoded(corners().convert("P", palette=Image.Palette.ADAPTIVE, colors=3), "PNG"))
    assert palette.getpixel((0, 0)) == GREEN
    inks = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    np.testing.assert_allclose(inks.getpixel((3, 3)), RED, atol=4)


def test_one_bit_pictures_are_black_and_white():
    assert decode(encoded(Image.new("1", (4, 4), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    deep = Image.fromarray(np.full((4, 4), 0x8040, np.uint16))
    assert decode(encoded(deep, kind)).getpixel((0, 0)) == (128, 128, 128)


def test_pixels_without_a_known_range_are_refused():
    with pytest.raises(DataError, match="floating-point pixels"):
        decode(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    with pytest.raises(DataError, match="beyond 16 bits"):
        decode(encoded(Image.fromarray(np.full((4, 4), 10**6, np.int32)), "TIFF"))


def test_transparent_becomes_white():
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    clear.putpixel((1, 0), (255, 0, 0, 0))
    assert decode(encoded(clear, "PNG")).tobytes() == bytes(RED) + b"\xff\xff\xff"
    keyed = Image.new("L", (2, 1), 0)
    keyed.putpixel((1, 0), 9)
    assert decode(encoded(keyed, "PNG", transparency=9)).tobytes() == b"\0\0\0\xff\xff\xff"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(kind, orientation):
    """The picture is stored as the camera held it; the corner colors say how it must come out."""
    upright = corners()
    turned = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(turned, kind, exif=exif))
    assert picture.size == (40, 20)
    np.testing.assert_allclose(np.asarray(picture)[2::15, 2::35].reshape(4, 3), [GREEN, RED, RED, BLUE], atol=24)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(kind):
    frames = [Image.new("RGB", (8, 8), color) for color in (BLUE, RED, GREEN)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data).getpixel((4, 4)) == BLUE


@pytest.mark.parametrize(("target", "size"), [((64, 64), (160, 120)), ((120, 160), (160, 120)), ((121, 10), (320, 240)),
                                              ((300, 300), (640, 480)), ((4000, 4000), (640, 480))])  # fmt: skip
def test_reduced_decoding_keeps_at_least_the_target(target, size):
    data = encoded(natural(640, 480), "JPEG", quality=90)
    picture = decode(data, target)
    assert picture.size == size
    whole = decode(data).resize(size, Image.Resampling.BOX)
    assert np.abs(np.asarray(picture, int) - np.asarray(whole, int)).mean() < 2


def test_reduced_decoding_of_a_turned_picture():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(natural(640, 320), "JPEG", exif=exif)  # upright: 320 wide, 640 high
    assert decode(data, (320, 160)).size == (160, 320)


def test_reduced_decoding_leaves_other_formats_whole():
    assert decode(encoded(natural(64, 64), "PNG"), (8, 8)).size == (64, 64)


def test_masks_keep_class_numbers():
    classes = np.array([[0, 1, 11], [2, 11, 250]], np.uint8)
    data = encoded(Image.fromarray(classes), "PNG")
    np.testing.assert_array_equal(decode_mask(data), classes)
    np.testing.assert_array_equal(decode_mask(data, ignore_index=11), [[0, 1, 255], [2, 255, 250]])
    painted = Image.fromarray(classes % 4).convert("P")
    painted.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    np.testing.assert_array_equal(decode_mask(encoded(painted, "PNG")), classes % 4)
    deep = classes.astype(np.uint16) * 200
    np.testing.assert_array_equal(decode_mask(encoded(Image.fromarray(deep), "PNG")), deep)


def test_a_mask_in_colors_is_refused():
    with pytest.raises(DataError, match=r"picture in colors \(RGB\)"):
        decode_mask(encoded(corners(), "PNG"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the picture is empty"),
        (b"hello, I am a text", "is not a JPEG, PNG, WebP, GIF, TIFF, BMP or PPM picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'/>", "is not a JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is not a JPEG"),
        (encoded(natural(64, 64), "JPEG")[:-200], "truncated or damaged"),
        (encoded(natural(64, 64), "PNG")[:300], "truncated or damaged"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(data, message):
    with pytest.raises(DataError, match=message) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_errors_name_the_file(tmp_path):
    with pytest.raises(DataError, match=r"absent.jpg: no such file"):
        decode(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match="is not a file"):
        decode(tmp_path)
    with pytest.raises(DataError, match="cannot be opened"):
        decode(tmp_path / "nul\0.jpg")
    (tmp_path / "half.png").write_bytes(encoded(natural(64, 64), "PNG")[:200])
    with pytest.raises(DataError, match=r"half.png is truncated or damaged"):
        decode(tmp_path / "half.png")
