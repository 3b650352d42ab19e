"""Sheets of examples: what is drawn of each kind of column, and how cards become a picture or a page."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from hfmm.data.digits import Digits
from hfmm.data.examples import ListExamples
from hfmm.data.scenes import Scenes
from hfmm.explanation import media, sheet
from hfmm.explanation.drawing import font, wrap
from hfmm.explanation.preview import SIDE, WIDE, Card, Figure, Line, cards


def examples(features: dict[str, str], *rows: dict, names=None) -> ListExamples:
    return ListExamples(rows, features, "toy", "train", names)


def one(features: dict[str, str], row: dict, names=None) -> Card:
    (card,) = cards(examples(features, row, names=names), 1)
    return card


def pixel(picture: Image.Image, x: float, y: float) -> tuple[int, ...]:
    return picture.getpixel((int(x), int(y)))


# Boxes and masks


def test_boxes_are_drawn_where_they_are_in_the_color_of_the_legend():
    box = {"box": [10, 20, 30, 40], "label": 1}
    card = one({"image": "image", "objects": "objects"}, {"image": Image.new("RGB", (64, 64)), "objects": [box]}, "ab")
    ((picture, legend, _),) = card.figures
    assert picture.size == (SIDE, SIDE)
    assert legend == ((media.color_of(1), "b"),)
    for x, y in ((10, 30), (20, 20)):  # a point of the left and of the upper side
        assert pixel(picture, 4 * x, 4 * y) == media.color_of(1)
    assert pixel(picture, 80, 120) == (0, 0, 0)
    assert card.lines == ()


def test_objects_of_one_name_have_one_color():
    things = [{"box": [0, 0, 9, 9], "label": name} for name in ("cow", "cat", "cow")] + [{"box": [0, 0, 5, 5]}]
    ((_, legend, _),) = one(
        {"image": "image", "objects": "objects"}, {"image": Image.new("RGB", (64, 64)), "objects": things}
    ).figures
    assert [name for _, name in legend] == ["cow", "cat", "object 4"]
    assert len({color for color, _ in legend}) == 3


def test_boxes_beyond_the_picture_end_at_its_edge():
    drawn = media.with_boxes(Image.new("RGB", (50, 40)), [[-1, -1, 2, 2]], [(255, 0, 0)])
    assert pixel(drawn, 0, 20) == pixel(drawn, 49, 20) == pixel(drawn, 20, 39) == (255, 0, 0)


def test_masks_tint_the_picture_and_leave_the_background():
    mask = np.zeros((64, 64), np.uint8)
    mask[:32], mask[32:, :32] = 2, 255
    picture = Image.new("RGB", (64, 64), (100, 100, 100))
    ((drawn, legend, _),) = one(
        {"image": "image", "mask": "mask"}, {"image": picture, "mask": mask}, ("background", "ring", "star")
    ).figures
    assert legend == ((media.color_of(2), "star"), (media.IGNORED, "ignore"))
    assert pixel(drawn, 200, 200) == (100, 100, 100)
    expected = [100 + (level - 100) * 190 / 255 for level in media.color_of(2)]
    np.testing.assert_allclose(pixel(drawn, 20, 20), expected, atol=1)


def test_the_first_class_is_tinted_where_it_is_no_background():
    row = {"image": Image.new("RGB", (8, 8)), "mask": np.zeros((8, 8), int)}
    kinds = {"image": "image", "mask": "mask"}
    assert [name for _, name in one(kinds, row, ("sky", "road")).figures[0].legend] == ["sky"]
    assert one(kinds, row).figures[0].legend == ()
    assert one({"mask": "mask"}, {"mask": row["mask"] + 3}).figures[0].legend == ((media.color_of(3), "class 3"),)


# Clips, flow and sound


def test_a_clip_is_a_strip_of_frames_in_order():
    video = np.stack([np.full((64, 64, 3), 10 * frame, np.uint8) for frame in range(15)])
    ((strip, _, note),) = one({"video": "video"}, {"video": video}).figures
    assert (strip.width, strip.height, note) == (WIDE, 64, "frames, 8 of 15")
    centers = [32 + index * (WIDE - 64) / 7 for index in range(8)]
    assert [pixel(strip, x, 32)[0] for x in centers] == [0, 20, 40, 60, 80, 100, 120, 140]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_clips_are_shown_whole(count):
    ((strip, _, note),) = one({"video": "video"}, {"video": np.zeros((count, 20, 30, 3), np.uint8)}).figures
    assert note == f"frames, {count}"
    assert strip.width <= WIDE


def test_the_hue_of_flow_is_its_direction():
    flow = np.zeros((3, 2, 2, 2))
    flow[0, 0, 0], flow[0, 0, 1], flow[1, 1, 0], flow[2, 1, 1] = (4, 0), (0, 4), (-4, 0), (0, -2)
    first, second, third = media.flow_pictures(flow)
    assert pixel(first, 0, 0) == (255, 0, 0)  # right: red
    assert pixel(first, 0, 1) == (255, 255, 255)  # rest: white
    red, green, blue = pixel(first, 1, 0)
    assert green == 255  # down
    assert red < 135
    assert blue == 0
    red, green, blue = pixel(second, 0, 1)
    assert red == 0  # left: cyan
    assert min(green, blue) > 245
    red, green, blue = pixel(third, 1, 1)
    assert blue == 255  # up: violet, half as fast and so half as deep
    assert 120 < green < 135
    ((_, _, note),) = one({"flow": "value"}, {"flow": flow}).figures
    assert note == "flow, 3, hue is direction, up to 4.0 pixels a frame"


def test_a_waveform_is_as_high_as_the_sound():
    sound = np.zeros(1600, np.float32)
    sound[800:] = 0.5 * np.tile([1, -1], 400)
    ((wave, _, note),) = one(
        {"audio": "audio", "sampling_rate": "number"}, {"audio": sound, "sampling_rate": 16000}
    ).figures
    assert note == "sound, 0.10 s at 16,000 Hz, peak 0.5"
    blue = (np.asarray(wave) == media.ACCENT).all(-1)
    assert blue[:, : SIDE // 2 - 1].sum(0).max() == 1
    assert blue[:, SIDE // 2 + 1 :].all()


def test_forms_of_sound():
    for value in ({"array": np.zeros((50, 2)), "sampling_rate": 100}, {"array": [0.0] * 50, "sampling_rate": 100}):
        assert one({"audio": "audio"}, {"audio": value}).figures[0].note == "sound, 0.50 s at 100 Hz, peak 0"
    assert one({"audio": "audio"}, {"audio": [1, 2]}).figures[0].note == "sound, 2 samples, peak 2"


def test_media_that_are_missing_or_not_decoded_are_told():
    kinds = {"image": "image", "audio": "audio", "video": "video", "flow": "value"}
    card = one(
        kinds,
        {"image": None, "audio": {"bytes": b"RIFF", "path": "a.wav"}, "video": None, "flow": np.zeros((0, 4, 4, 2))},
    )
    assert card.figures == ()
    assert [text for _, text in card.lines] == [
        "image: none",
        "audio: a.wav, 4 bytes",
        "video: none",
        "flow: array of 0 x 4 x 4 x 2",
    ]


# Words


def test_lines_of_every_kind_of_words():
    kinds = {
        "number": "number",
        "captions": "texts",
        "label": "label",
        "question": "text",
        "answer": "text",
        "tags": "texts",
    }
    row = {"number": 3, "captions": list("abcdefg"), "label": 1, "question": "who", "answer": "I", "tags": ["x", "y"]}
    assert one(kinds, row, ("no", "yes")).lines == (
        *(Line("caption", letter) for letter in "abcde"),
        Line("label", "yes"),
        Line("question", "who"),
        Line("answer", "I"),
        Line("note", "number: 3"),
        Line("note", "and 2 more captions"),
        Line("note", "tags: x, y"),
    )
    assert one({"label": "label"}, {"label": None}).lines == (Line("note", "label: none"),)
    assert one({"label": "label"}, {"label": 7}).lines == (Line("label", "class 7"),)


def test_dialogues_are_turns():
    (card,) = cards(Scenes("test", view="dialogue"), 1)
    messages = Scenes("test", view="dialogue")[0]["messages"]
    assert [line.role for line in card.lines] == [*(message["role"] for message in messages), "note"]
    assert [line.text for line in card.lines[:-1]] == [message["content"][-1]["text"] for message in messages]
    parts = [{"type": "image"}, {"type": "text", "text": "hello"}]
    alone = one({"messages": "messages"}, {"messages": [{"role": "system", "content": parts}]})
    assert alone.lines == (Line("note", "[image] hello"),)


def test_long_texts_end_in_time():
    (line,) = one({"text": "text"}, {"text": "word\n" * 2000}).lines
    assert len(line.text) <= 300
    assert line.text.startswith("word word")
    assert line.text.endswith("...")


# The sheet


def test_no_word_is_wider_than_its_line():
    lines = wrap("a " + "m" * 100 + " b", 90)
    assert "".join(lines).replace(" ", "") == "a" + "m" * 100 + "b"
    assert max(font().getlength(line) for line in lines) <= 90
    assert wrap("mm", 1) == ["m", "m"]


def framed(text: str) -> Card:
    long = tuple(Line(role, text) for role in ("caption", "label", "question", "answer", "user", "assistant", "note"))
    figure = Figure(Image.new("RGB", (SIDE, 40)), tuple(((number, 0, 0), text) for number in range(9)), text)
    return Card(text, (figure,), long)


@pytest.mark.parametrize("text", ["m" * 150, "some words " * 20, "Wi\u00df \u201c\u00e4\u6f22\u201d \0\x1b[31m", ""])
def test_cards_stand_in_a_grid_and_nothing_leaves_them(text):
    picture = sheet.as_picture([framed(text)] * 5, "title", "lead")
    outer = SIDE + 2 * sheet.PAD
    assert picture.width == 4 * outer + 5 * sheet.GAP
    levels = np.asarray(picture)
    for column in range(4):
        left = sheet.GAP + column * (outer + sheet.GAP)
        assert (levels[:, left - sheet.GAP : left][100:] == sheet.DESK).all()  # below the title
        inside = levels[100:, left + SIDE + sheet.PAD + 1 : left + outer - 8].reshape(-1, 3)
        assert set(map(tuple, inside.tolist())) <= {(255, 255, 255), sheet.DESK, media.EDGE}


def test_few_cards_make_a_narrow_sheet():
    assert (
        sheet.as_picture(list(cards(Digits("test"), 1)), "digits", "test").width == SIDE + 2 * sheet.PAD + 2 * sheet.GAP
    )


class Reader(HTMLParser):
    """Collects tags, addresses and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_a_page_holds_everything_and_escapes_what_it_says():
    evil = '<script>alert("1")</script> & \u6f22'
    page = sheet.as_page([framed(evil)] * 2, evil, evil)
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert reader.text.count(evil) >= 2 * 18
    assert all(address.startswith("data:image/png;base64,") for address in reader.addresses)
    assert len(reader.addresses) == 2
    assert "url(" not in page
    assert "width=device-width" in page
    inside = Image.open(io.BytesIO(base64.b64decode(reader.addresses[0].partition(",")[2])))
    assert inside.size == (SIDE, 40)


def test_a_page_says_what_each_color_is():
    page = sheet.as_page(list(cards(Scenes("test", view="segmentation"), 1)), "scenes", "")
    (picture,) = cards(Scenes("test", view="segmentation"), 1)
    ((color, name),) = picture.figures[0].legend
    assert re.search(rf"background:rgb{re.escape(str(color))}\"></i>{name}</span>", page)
