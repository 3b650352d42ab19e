"""Multiple-choice questions as LLaVA asks and answers ScienceQA's."""

import pytest
from PIL import Image

from hfmm.data import load
from hfmm.data.messages import spoken
from hfmm.errors import DataError
from hfmm.metrics.scienceqa_accuracy import read_choice
from tests.data.files import write_lines

ROW = {"question": "Which is cold?", "choices": ["fire", "ice"], "answer": 1}
REASONS = {"hint": "Touch it.", "lecture": "Water freezes.", "solution": "Ice is frozen."}


def loaded(tmp_path, *rows):
    return load(str(write_lines(tmp_path / "test.jsonl", list(rows))), "test")


def test_golden_question_and_answer(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    examples = loaded(tmp_path, {**ROW, **REASONS, "image": "a.png"}, {**ROW, "image": None})
    assert examples.features["answer"] == "text"
    assert examples[0]["question"] == "Which is cold?\nContext: Touch it.\nOptions: (A) fire (B) ice"
    assert examples[0]["answer"] == "Water freezes. Ice is frozen. The answer is B."
    assert examples[1]["question"] == "Which is cold?\nContext: N/A\nOptions: (A) fire (B) ice"
    assert examples[1]["answer"] == "The answer is B."
    assert [example["right"] for example in examples] == [1, 1]
    assert [read_choice(example["answer"]) for example in examples] == [1, 1]


def test_a_question_without_a_picture_is_a_dialogue_without_one(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    dialogues = spoken(loaded(tmp_path, {**ROW, "image": "a.png"}, {**ROW, "image": None}))
    kinds = [[part["type"] for part in example["messages"][0]["content"]] for example in dialogues]
    assert kinds == [["image", "text"], ["text"]]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"answer": 2}, "answer is 2, which is none of the 2 choices"),
        ({"answer": None}, "answer is None"),
        ({"choices": ["ice"]}, "there are 1 choices: 2 to 5 have a letter"),
        ({"choices": list("abcdef")}, "there are 6 choices"),
        ({"choices": "ice"}, "choices are not a list of texts"),
        ({"question": " "}, "question is empty"),
    ],
)
def test_what_is_no_such_question(tmp_path, wrong, problem):
    with pytest.raises(DataError, match=rf"line 2: .*{problem}"):
        loaded(tmp_path, ROW, {**ROW, **wrong})


def test_answers_in_words_stay(tmp_path):
    example = loaded(tmp_path, {**ROW, "answer": "ice"})[0]
    assert (example["question"], example["answer"]) == ("Which is cold?", "ice")
