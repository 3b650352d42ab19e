"""Open questions as LLaVA-Bench keeps them."""

import json

import pytest
from PIL import Image

from hfmm.data.open_questions import find_pictures, read_open_questions
from hfmm.errors import DataError
from tests.data.files import write_lines, write_open_questions
from tests.testing import shared_data


def test_llavas_questions():
    questions = read_open_questions(shared_data("llava_eval"))
    assert len(questions) == 90
    assert {question.category for question in questions} == {"conv", "detail", "complex"}
    assert len({question.image for question in questions}) == 30
    assert questions[0].text == "What is the color of the two suitcases in the image?"
    assert questions[0].reference.startswith("The colors of the two suitcases")


def test_what_a_judge_is_sent(tmp_path):
    (question,) = read_open_questions(write_open_questions(tmp_path))
    assert question.review_prompt("A dog.") == (
        "[Context]\na cat\nit sits\n\ncat: [0, 0, 1, 0.5]\n\n[Question]\nWhat is it?\n\n"
        "[Assistant 1]\nA cat.\n\n[End of Assistant 1]\n\n[Assistant 2]\nA dog.\n\n[End of Assistant 2]\n\n"
        "[System]\nGive two scores.\n\n"
    )


def test_questions_in_the_wild(tmp_path):
    """The other set: a caption instead of boxes, other names of files and rules."""
    write_open_questions(tmp_path, names=("questions", "answers_gpt4", "context"))
    write_lines(tmp_path / "context.jsonl", [{"image": "1.jpg", "caption": "a cat"}])
    (tmp_path / "rule.json").write_text('{"llava_bench_conv": {"role": "Assistant", "prompt": "Give two scores."}}')
    (question,) = read_open_questions(tmp_path)
    assert (question.context, question.rule) == ("a cat", "Give two scores.")


@pytest.mark.parametrize(
    ("file", "row", "problem"),
    [
        ("qa_questions", {"text": None}, "qa_questions.jsonl line 1: no text"),
        ("qa_questions", {"question_id": 4}, "question 4 has no reference answer"),
        ("qa_questions", {"image": "9.jpg"}, "question 1 has no context"),
        ("qa_questions", {"category": "odd"}, "question 1 has no rule"),
        ("more_questions", {}, r"holds 2 files of the name \*questions.jsonl"),
    ],
)
def test_questions_that_cannot_be_judged(tmp_path, file, row, problem):
    write_open_questions(tmp_path)
    (first,) = map(json.loads, (tmp_path / "qa_questions.jsonl").read_text().splitlines())
    write_lines(tmp_path / f"{file}.jsonl", [first | row])
    with pytest.raises(DataError, match=problem):
        read_open_questions(tmp_path)


def test_other_folders(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no file of the name .*gpt4_answer.jsonl .*: it is no set of open questions"
    ):
        read_open_questions(tmp_path)
    write_open_questions(tmp_path)
    for text in ("{", "[]", '{"conv": {"role": "A"}}', '{"conv": 3}'):
        (tmp_path / "rule.json").write_text(text)
        with pytest.raises(DataError, match=r"rule.json does not say"):
            read_open_questions(tmp_path)


def test_pictures_may_have_cocos_names(tmp_path):
    questions = read_open_questions(write_open_questions(tmp_path))
    with pytest.raises(DataError, match=r"1 of 1 pictures are not in .*, the first is 1.jpg"):
        find_pictures(questions, tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "COCO_val2014_1.jpg")
    assert find_pictures(questions, tmp_path) == {"1.jpg": tmp_path / "COCO_val2014_1.jpg"}
