"""Questions with a closed list of answers: the list, the numbers, the batches."""

import pytest
from PIL import Image

from hfmm import data
from hfmm.data.columns import map_columns
from hfmm.data.examples import ListExamples
from hfmm.data.questions import Answered, QuestionCollator, answers_of
from hfmm.data.scenes import questions
from hfmm.data.tasks import collator_of
from hfmm.errors import DataError
from tests.testing import shared_data

FEATURES = {"image": "image", "question": "text", "answer": "text"}


def asked(*answers):
    rows = [{"image": Image.new("RGB", (8, 8)), "question": "what?", "answer": answer} for answer in answers]
    return ListExamples(rows, FEATURES)


def test_the_most_frequent_answer_comes_first():
    assert answers_of(asked("no", "yes", "blue", "yes")) == ("yes", "blue", "no")


def test_an_answer_is_a_class_and_another_is_none():
    examples = Answered(asked("no", "yes", "maybe"), ("yes", "no"))
    assert examples.label_names == ("yes", "no")
    assert [example["label"] for example in examples] == [1, 0, None]
    assert [examples.peek(row)["label"] for row in range(3)] == [1, 0, None]
    assert len(examples.sized(4, 4)) == len(examples) == 3


def test_a_batch_has_pictures_questions_and_numbers():
    def processor(images, text, **settings):
        return {"pixel_values": images, "input_ids": text}

    collator = collator_of("visual-question-answering", processor)
    assert isinstance(collator, QuestionCollator)
    examples = Answered(asked("no", "maybe"), ("yes", "no"))
    drawn = collator.draw(examples[0], None)
    batch = collator([drawn, drawn])
    assert batch["labels"].tolist() == [1, 1]
    assert batch["input_ids"] == ["what?", "what?"]
    with pytest.raises(DataError, match="an answer that is not in the list"):
        collator.draw(examples[1], None)


def test_a_statement_is_true_or_false():
    """As nlvr has it: the statement is the question, and its truth the answer."""
    kinds = {"image": "image", "sentence": "text", "label": "value"}
    mapping = map_columns(kinds, {"question": "sentence", "answer": "label"}, "nlvr train")
    notes = []
    row = {"image": b"", "sentence": "There is a box.", "label": True}
    example = mapping.convert(row, 0, notes)
    assert (example["question"], example["answer"], notes) == ("There is a box.", "true", [])


def test_every_answer_of_built_in_questions_is_in_the_list():
    examples = data.load("scenes:vqa", size=2000)
    assert set(answers_of(examples)) <= set(questions.answers())
    assert len(answers_of(examples)) > 15


def test_nlvr_has_two_answers():
    folder = shared_data("nlvr")
    examples = data.load(str(folder), split="train_from_dev", columns={"question": "sentence", "answer": "label"})
    assert answers_of(examples) == ("true", "false")
