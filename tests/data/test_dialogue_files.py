"""Dialogues in files: several pictures, LLaVA's own JSON, chat columns, and what the doctor says of them."""

import json
import re
from pathlib import Path

import datasets
import pytest
from PIL import Image

import hfmm
from hfmm.data import load
from hfmm.data.columns import map_columns
from hfmm.data.doctor import diagnose
from hfmm.errors import DataError
from tests.data.files import write_lines
from tests.testing import shared_data

pytestmark = pytest.mark.usefixtures("own_cache_and_no_network")
COLORS = ("red", "green", "blue")
ANSWER = {"role": "assistant", "content": "yes"}
LLAVA = [{"from": "human", "value": "What is it?\n<image>"}, {"from": "gpt", "value": "A cat."}]


def paint(folder: Path) -> None:
    """A picture of each color."""
    folder.mkdir(exist_ok=True)
    for color in COLORS:
        Image.new("RGB", (8, 8), color).save(folder / f"{color}.png")


def colors_of(example: dict) -> list[str]:
    names = {(255, 0, 0): "red", (0, 128, 0): "green", (0, 0, 255): "blue"}
    return [names[picture.getpixel((0, 0))] for picture in example["images"]]


def asked(pictures: int) -> list[dict]:
    content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": "alike?"}]
    return [{"role": "user", "content": content}, ANSWER]


def turn(*parts: str) -> list[dict]:
    """The content of a message: texts, and `<image>` for a picture."""
    return [{"type": "image"} if part == "<image>" else {"type": "text", "text": part} for part in parts]


# Several pictures


@pytest.mark.parametrize("column", ["images", "image"])
def test_several_pictures_one_and_none(tmp_path, column):
    paint(tmp_path)
    shown = ["red.png", ["blue.png", "red.png"], [], None]
    rows = [{column: images, "messages": asked(count)} for images, count in zip(shown, (1, 2, 0, 0), strict=True)]
    examples = load(str(write_lines(tmp_path / "train.jsonl", rows)))
    assert examples.features == {"images": "images", "messages": "messages"}
    assert [colors_of(example) for example in examples] == [["red"], ["blue", "red"], [], []]


def test_pictures_that_content_parts_name(tmp_path):
    paint(tmp_path)
    parts = [
        {"type": "image", "path": "red.png"},
        {"type": "text", "text": "or"},
        {"type": "image", "image": "blue.png"},
    ]
    data = write_lines(tmp_path / "a.jsonl", [{"messages": [{"role": "user", "content": parts}, ANSWER]}])
    example = load(str(data))[0]
    assert colors_of(example) == ["red", "blue"]
    assert example["messages"][0]["content"] == turn("<image>", "or", "<image>")


def test_several_pictures_of_parquet(tmp_path):
    paint(tmp_path)
    shown = [["red", "green"], [], ["blue"]]

    def rows():
        for colors in shown:
            pictures = [Image.open(tmp_path / f"{color}.png") for color in colors]
            spoken = [{"role": "user", "content": "<image>" * len(colors) + "alike?"}, ANSWER]
            yield {"images": pictures, "messages": spoken}

    datasets.Dataset.from_generator(rows).to_parquet(tmp_path / "train.parquet")
    examples = load(str(tmp_path / "train.parquet"))
    assert [colors_of(example) for example in examples] == shown
    assert examples[0]["messages"] == [asked(2)[0], {"role": "assistant", "content": turn("yes")}]
    assert diagnose(str(tmp_path / "train.parquet")) == []


def test_a_dialogue_about_one_picture_or_none(tmp_path):
    paint(tmp_path)
    words = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]
    rows = [{"image": "red.png", "conversations": LLAVA}, {"conversations": words}]
    examples = load(str(write_lines(tmp_path / "train.jsonl", rows)))
    assert [example["image"] is None for example in examples] == [False, True]


# LLaVA's own JSON


def write_list(path: Path, rows: list[dict], **options) -> str:
    path.write_text(json.dumps(rows, **options), encoding="utf-8")
    return str(path)


ROWS = [
    {"id": "7", "image": "red.png", "conversations": LLAVA},
    {"id": "7", "image": "blue.png", "conversations": LLAVA},
]


@pytest.mark.parametrize("indent", [None, 1])
def test_llavas_own_json_with_pictures_elsewhere(tmp_path, indent):
    paint(tmp_path / "coco")
    examples = load(write_list(tmp_path / "llava.json", ROWS, indent=indent), pictures=str(tmp_path / "coco"))
    assert [example["image"].getpixel((0, 0)) for example in examples] == [(255, 0, 0), (0, 0, 255)]
    assert [example["id"] for example in examples] == ["7-0", "7-1"]  # it is the picture's, and both are kept
    assert examples[1]["messages"] == [
        {"role": "user", "content": turn("What is it?", "<image>")},
        {"role": "assistant", "content": turn("A cat.")},
    ]
    with pytest.raises(DataError, match="coc: no such folder of pictures"):
        load(str(tmp_path / "llava.json"), pictures=str(tmp_path / "coc"))


def test_a_json_list_in_a_folder_is_its_data_and_other_json_is_not(tmp_path):
    paint(tmp_path)
    (tmp_path / "classes.json").write_text('["a", "b"]')
    write_list(tmp_path / "validation.json", ROWS)
    assert len(load(str(tmp_path), "validation")) == 2


def test_the_line_of_each_object_of_a_list(tmp_path):
    text = '[\n {"captions": "one"},\n\n {"captions":\n  "tw]o \\" {"}\n, {"captions": ""}]\n'
    (tmp_path / "a.json").write_text(text)
    examples = load(str(tmp_path / "a.json"), on_bad_example="skip")
    assert [examples.where(row).rpartition(" ")[2] for row in range(3)] == ["2", "4", "6"]
    assert examples[1]["captions"] == ['tw]o " {']
    with pytest.raises(DataError, match=r"a.json line 6: caption 1 is empty"):
        load(str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a.json is empty"),
        ("\ufeff[]", "starts with a byte order mark"),
        ("[]", "holds no rows"),
        ('{"data": []}', "line 1: the file is not one list of objects"),
        ('["a"]', "line 1: the file is not one list of objects"),
        ('[{"text": "a"},\n"b", {}]', "line 2: the file is not one list of objects"),
        ('[{"text": "a"},\n{"text": "b"}', "ends inside of the list"),
        ('[{"text": "a"},\n{"text": "b', "ends inside of the list"),
        ('[{"text": "a"}\n{"text": "b"}]', "line 2: the file is not one list of objects"),
        ('[{"text": "a"}]\n[]', "line 2: the file is not one list of objects"),
        ('[{"text": "a"},\n{"text" "b"}]', "line 2: not valid JSON"),
        ('[{"text": "a"},\n["b"]]', "line 2: the line holds a list, not an object"),
        ('[{"text": NaN}]', "line 1: not valid JSON .NaN is not JSON"),
    ],
)
def test_lists_that_are_none(tmp_path, text, problem):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        load(str(tmp_path / "a.json"))


# Chat columns


def convert(kinds: dict[str, str], row: dict, **explicit: str) -> dict:
    notes: list[str] = []
    example = map_columns(kinds, explicit, "data train").convert(row, 0, notes)
    assert notes == []
    return example


@pytest.mark.parametrize(("asks", "says"), [("instruction", "output"), ("prompt", "completion"), ("query", "response")])
def test_columns_of_instructions_are_questions_and_answers(asks, says):
    assert convert({asks: "text", says: "text"}, {asks: "q", says: "a"}) == {"question": "q", "answer": "a"}
    only = {"question": "text", "answer": "text", asks: "text", says: "text"}
    row = {"question": "q", "answer": "a", asks: "x", says: "y"}
    assert convert(only, row) == row


def test_turns_of_user_and_assistant_begin_with_their_pictures():
    row = {
        "images": [b"1", b"2"],
        "texts": [{"user": "alike?", "assistant": "no"}, {"user": "why?", "assistant": "red"}],
    }
    example = convert({"images": "images", "texts": "value"}, row, messages="texts")
    assert [message["content"] for message in example["messages"]] == [
        turn("<image>", "<image>", "alike?"), turn("no"), turn("why?"), turn("red"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "rows"), [("easy_vqa", 7801), ("daquar_vqa", 4341)])
def test_real_questions(name, rows):
    examples = load(str(shared_data(name)), "test")
    assert len(examples) == rows
    assert examples.features["question"] == examples.features["answer"] == "text"
    assert {"image", "question", "answer"} <= examples[0].keys()


def test_real_answers_of_gpt_4():
    examples = load(str(shared_data("llava_eval") / "coco2014_val_gpt4_qa_30x3.jsonl"), on_bad_example="skip")
    example = examples.peek(0)
    assert (example["question"], example["type"]) == ("What is the position of the skateboard in the image?", "conv")


# The doctor


def test_every_problem_of_dialogues_with_its_line(tmp_path):
    paint(tmp_path)
    user = {"role": "user", "content": turn("<image>", "what?")}

    def says(content, **role):
        return {"role": "user", "content": content} | role

    rows = {
        "message 1 has the role 'narrator'; known: human, gpt, user, assistant, system": (
            ["red", [says("<image> x", role="narrator"), ANSWER]]
        ),
        "messages do not go user, assistant, user, ...: user, user, assistant": ["red", [user, user, ANSWER]],
        "the messages speak of 2 images but the row has 1": ["red", [says("<image><image>?"), ANSWER]],
        "the messages speak of 0 images but the row has 1": ["red", [says("?"), ANSWER]],
        "the messages speak of 1 images but the row has 0": [None, [user, ANSWER]],
        "message 2 is empty": ["red", [user, ANSWER | {"content": " "}]],
        "message 2 text has 10001 characters, more than the limit of 10000": (
            ["red", [user, ANSWER | {"content": turn("x" * 10_001)}]]
        ),
        "messages are list ([]), not a list of messages": ["red", []],
        "the assistant says nothing": ["red", [user]],
        "pink.png: no such file": ["pink", [user, ANSWER]],
    }
    lines = [json.dumps({"image": color and f"{color}.png", "messages": messages}) for color, messages in rows.values()]
    for name, text, first in (("a.jsonl", "\n".join(lines), 1), ("a.json", "[\n" + ",\n".join(lines) + "\n]", 2)):
        (tmp_path / name).write_text(text)
        found = [
            (problem.where, problem.what.removeprefix(f"{tmp_path}/")) for problem in diagnose(f"{tmp_path}/{name}")
        ]
        expected = [(f"{tmp_path}/{name} line {line}", what) for line, what in enumerate(rows, first)]
        assert found == expected


def test_dialogues_that_are_too_long_for_a_model(tmp_path):
    paint(tmp_path)
    processor = hfmm.create_processor("llava")
    patches = (64 // 8) ** 2
    processor.tokenizer.model_max_length = patches + 60
    user = {"role": "user", "content": turn("<image>", "what?")}
    rows = [{"image": "red.png", "messages": [user, ANSWER | {"content": "yes " * count}]} for count in (1, 100, 2)]
    data = write_lines(tmp_path / "a.jsonl", [*rows, {"image": "pink.png", "messages": [user, ANSWER]}])
    said = {problem.where.rpartition(" ")[2]: problem.what for problem in diagnose(str(data), processor=processor)}
    assert said.keys() == {"2", "4"}
    assert re.fullmatch(rf"the dialogue has \d+ tokens, more than the model's {patches + 60}", said["2"])
    write_lines(tmp_path / "b.jsonl", [{"image": "red.png", "question": "what?", "answer": "yes " * 100}])
    assert "the dialogue has" in diagnose(str(tmp_path / "b.jsonl"), processor=processor)[0].what
    write_lines(tmp_path / "c.jsonl", [{"image": "red.png", "label": 1}])
    with pytest.raises(DataError, match="no column 'messages', which image-text-to-text needs"):
        diagnose(str(tmp_path / "c.jsonl"), processor=processor)
