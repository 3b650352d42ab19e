"""Columns: which is which, what values must be, and errors that name what is there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfmm.data.checks import MAX_CHARACTERS
from hfmm.data.columns import ColumnMap, map_columns, parse_columns, require
from hfmm.data.examples import ListExamples
from hfmm.errors import DataError, UsageError


def convert(kinds: dict[str, str], row: dict, pair: int = 0, **explicit: str) -> tuple[dict, list[str]]:
    notes: list[str] = []
    return map_columns(kinds, explicit, "data train").convert(row, pair, notes), notes


def test_columns_from_the_command_line():
    assert parse_columns("image=photo, captions=sentences") == {"image": "photo", "captions": "sentences"}
    assert parse_columns({"label": "scene"}) == {"label": "scene"}
    assert parse_columns(None) == {}


@pytest.mark.parametrize("text", ["image", "image=", "=photo", "image=photo,,", ""])
def test_columns_that_are_written_wrong(text):
    with pytest.raises(UsageError, match="write them as image=photo,captions=sentences"):
        parse_columns(text)


def test_an_unknown_example_column_names_the_nearest():
    with pytest.raises(UsageError, match="unknown example column 'caption': did you mean 'captions'"):
        parse_columns("caption=text")


def test_a_data_column_that_is_not_there_names_those_that_are():
    with pytest.raises(
        DataError, match=r"no column 'sentense' .for captions.: did you mean 'sentence'. it has picture, sen"
    ):
        map_columns({"picture": "image", "sentence": "text"}, {"captions": "sentense"}, "data train")


@pytest.mark.parametrize("image", ["image", "photo", "img", "file_name"])
@pytest.mark.parametrize("captions", ["caption", "captions", "sentences", "text"])
def test_common_names_map_themselves(image, captions):
    example, notes = convert({image: "image", captions: "texts"}, {image: b"p", captions: ["a", "b"]})
    assert (example, notes) == ({"image": b"p", "captions": ["a", "b"]}, [])


def test_the_first_common_name_is_taken_and_the_others_stay():
    kinds = {"caption": "text", "captions": "texts", "image": "image", "file_name": "text", "size": "number"}
    row = {"caption": "c", "captions": ["d"], "image": b"p", "file_name": "f", "size": 3}
    assert convert(kinds, row)[0] == {"image": b"p", "captions": ["d"], "caption": "c", "file_name": "f", "size": 3}


def test_what_the_user_says_comes_first():
    kinds = {"image": "image", "captions": "texts", "translated": "texts"}
    row = {"image": b"p", "captions": ["here"], "translated": ["there"]}
    assert convert(kinds, row, captions="translated")[0] == {"image": b"p", "captions": ["there"]}


def test_text_is_a_caption_only_beside_a_picture():
    assert convert({"text": "text", "label": "number"}, {"text": "t", "label": 1})[0] == {"text": "t", "label": 1}
    assert convert({"text": "text", "img": "image"}, {"text": "t", "img": b"p"})[0]["captions"] == ["t"]


def test_a_list_of_labels_is_not_a_label():
    assert "label" not in map_columns({"labels": "value"}, {}, "data").features
    assert map_columns({"labels": "number"}, {}, "data").features == {"label": "label"}


def test_kinds_of_the_example_columns():
    mapping = map_columns({"photo": "image", "sentences": "texts", "labels": "label", "width": "number"}, {}, "data")
    assert mapping.features == {"image": "image", "captions": "texts", "label": "label", "width": "number"}


@pytest.mark.parametrize(
    ("captions", "problem"),
    [
        (None, "no captions"),
        ([], "no captions"),
        ("", "caption 1 is empty"),
        (["fine", " \t\n"], "caption 2 is empty"),
        (["fine", None], "no caption 2"),
        (["fine", 5], r"caption 2 is int \(5\), not text"),
        ({"raw": "x"}, r"captions are dict .*, not a list of texts"),
        (7, r"captions are int \(7\)"),
        (["nul\0"], "caption 1 has a NUL character"),
        (["half \ud83d"], "caption 1 has half of a surrogate pair"),
        (["x" * (MAX_CHARACTERS + 1)], "caption 1 has 10001 characters, more than the limit of 10000"),
    ],
)
def test_bad_captions(captions, problem):
    _, notes = convert({"image": "image", "captions": "texts"}, {"image": b"p", "captions": captions})
    assert len(notes) == 1
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(notes[0])


def test_odd_but_good_captions():
    captions = ["ça va", "日本語", "smile \U0001f600", "x" * MAX_CHARACTERS, "  spaced  out  "]
    assert convert({"img": "image", "captions": "texts"}, {"img": b"p", "captions": captions})[1] == []


def test_a_missing_picture_is_a_problem():
    assert convert({"image": "image", "captions": "texts"}, {"captions": ["a"]})[1] == ["no image"]


def labels(names: tuple[str, ...] | None, value: object) -> tuple[object, list[str]]:
    notes: list[str] = []
    mapping = map_columns({"label": "label"}, {}, "data").with_labels(names)
    return mapping.convert({"label": value}, 0, notes)["label"], notes


def test_labels_become_numbers():
    assert labels(("cat", "dog"), "dog") == (1, [])
    assert labels(("cat", "dog"), 1) == (1, [])
    assert labels(None, 7) == (7, [])
    assert labels(("cat", "dog"), -1) == labels(("cat", "dog"), None) == (None, [])


@pytest.mark.parametrize("value", ["bird", 2, -2, 1.5, True, ["cat"]])
def test_bad_labels(value):
    assert len(labels(("cat", "dog"), value)[1]) == 1


KINDS_OF_VQA = {"image": "image", "questions": "texts", "answers": "texts"}


def test_lists_of_questions_and_answers_are_unrolled():
    mapping = map_columns(KINDS_OF_VQA, {}, "data")
    row = {"image": b"p", "questions": ["q1", "q2"], "answers": ["a1", "a2"]}
    assert mapping.count(row) == 2
    assert mapping.features == {"image": "image", "question": "text", "answer": "text"}
    assert mapping.convert(row, 1, []) == {"image": b"p", "question": "q2", "answer": "a2"}


@pytest.mark.parametrize(
    ("questions", "answers", "problem"),
    [
        (["q"], ["a", "b"], "1 questions but 2 answers"),
        ([], [], "no questions"),
        (["q"], "a", "questions and answers are not both lists"),
        (["q"], [" "], "answer is empty"),
    ],
)
def test_bad_questions_and_answers(questions, answers, problem):
    row = {"image": b"p", "questions": questions, "answers": answers}
    assert map_columns(KINDS_OF_VQA, {}, "data").count(row) == 1
    assert convert(KINDS_OF_VQA, row)[1] == [problem]


def test_of_several_answers_to_one_question_the_most_frequent_is_learned():
    kinds = {"image": "image", "question": "text", "answers": "texts"}
    example, notes = convert(kinds, {"image": b"p", "question": "q", "answers": ["no", "yes", "yes"]})
    assert notes == []
    assert (example["answer"], example["answers"]) == ("yes", ["no", "yes", "yes"])


def test_boxes_of_coco_become_corners():
    objects = [{"bbox": [10.0, 20.0, 5.0, 6.0], "category": "cat", "area": 30}, {"box": [0, 0, 1, 1], "label": "dog"}]
    example, notes = convert({"image": "image", "objects": "value"}, {"image": b"p", "objects": objects})
    assert notes == []
    assert example["objects"][0] == {"box": [10.0, 20.0, 15.0, 26.0], "label": "cat", "area": 30}
    assert example["objects"][1] == objects[1]


@pytest.mark.parametrize(
    "objects", [None, [3], [{}], [{"box": [1, 2, 3]}], [{"box": [5, 5, 1, 9]}], [{"box": [0, 0, float("nan"), 1]}]]
)
def test_bad_objects(objects):
    assert len(convert({"image": "image", "objects": "value"}, {"image": b"p", "objects": objects})[1]) == 1


LLAVA = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]
PARTS = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
]


@pytest.mark.parametrize(("column", "messages"), [("conversations", LLAVA), ("messages", LLAVA), ("messages", PARTS)])
def test_dialogues_become_messages_with_content_parts(column, messages):
    example, notes = convert({"image": "image", column: "value"}, {"image": b"p", column: messages})
    assert (example["messages"], notes) == (PARTS, [])


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (None, "messages are NoneType"),
        ([], "messages are list"),
        (["hi"], "messages are list"),
        (LLAVA[1:], "speak of 0 images but the row has 1|do not go user, assistant"),
        ([*LLAVA, LLAVA[1]], "do not go user, assistant, user"),
        ([{"from": "narrator", "value": "<image> x"}], "message 1 has the role 'narrator'"),
        ([{"role": ["user"], "content": "<image> x"}], "message 1 has the role"),
        ([{"role": "user", "content": "<image><image> x"}], "speak of 2 images but the row has 1"),
        ([{"role": "user", "content": "x"}], "speak of 0 images but the row has 1"),
        ([{"role": "user", "content": []}], "message 1 is list"),
        ([{"role": "user", "content": [{"type": "smell"}]}], "message 1 has a part of type 'smell'"),
        ([{"role": "user", "content": [{"type": "text", "text": " "}]}], "message 1 text is empty"),
        ([{"role": "user"}], "no message 1"),
    ],
)
def test_bad_dialogues(messages, problem):
    _, notes = convert({"image": "image", "messages": "value"}, {"image": b"p", "messages": messages})
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError("; ".join(notes))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "box", "type"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["captions", "label", "objects", "messages", "question", "answers", "text", "id"]),
    st.sampled_from(["text", "texts", "value", "number"]),
    ANYTHING,
)
def test_no_value_ends_in_a_traceback(column, kind, value):
    kinds = {"image": "image", column: kind, "questions": "texts"}
    mapping = map_columns(kinds, {}, "data")
    mapping = mapping.with_labels(("cat",)) if "label" in mapping.features else mapping
    row = {"image": b"p", column: value, "questions": value}
    for pair in range(mapping.count(row)):
        mapping.convert(row, pair, [])


def test_a_task_names_the_column_that_it_lacks():
    examples = ListExamples([{"photo": 1}], {"photo": "image"}, name="mine")
    require(examples, ["photo"], "captioning")
    with pytest.raises(
        DataError, match=r"mine train has no column 'captions', which captioning needs: it has photo; .*=NAME"
    ):
        require(examples, ["photo", "captions"], "captioning")


def test_a_map_is_plain_data():
    assert map_columns({"img": "image"}, {}, "data") == ColumnMap({"image": "img"}, {"image": "image"})
