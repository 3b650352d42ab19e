"""Dialogues as tokens: what is learned of them, pictures' places, and what does not fit."""

from random import Random

import pytest
import torch

from hfmm import data
from hfmm.data.dialogues import (
    IGNORED,
    DialogueCollator,
    encode,
    ending_of,
    rendered,
)
from hfmm.data.examples import ListExamples
from hfmm.data.messages import in_either_order, spoken
from hfmm.errors import DataError
from hfmm.nn.chat_processing import set_template
from hfmm.nn.chat_templates import OWN
from tests.models.generalist import tiny_llava as tiny
from tests.nn.test_chat_templates import CHATML

ALL = ["v0", "v0_mmtag", "v1", "llama_2", OWN]


def reader(name="v0", **settings):
    made = tiny.processor("v0" if name == OWN else name, **settings)
    if name == OWN:
        set_template(made, OWN, own=CHATML)
    return made


def example(messages=tiny.TWO_TURNS, pictures=1, name="one"):
    return {"id": name, "messages": messages, "images": [tiny.picture()] * pictures}


def learned(processor, made):
    ids = [token for token, label in zip(made["input_ids"], made["labels"], strict=True) if label != IGNORED]
    return processor.tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("name", "said"),
    [("v0", " red### top left###"), ("v1", " red</s> top left</s>"), ("llama_2", " red </s> top left </s>"),
     ("plain", "red\ntop left\n"), (OWN, "red<|im_end|>\ntop left<|im_end|>\n")],
)  # fmt: skip
def test_answers_and_what_ends_them_are_learned_and_nothing_else(name, said):
    processor = reader(name)
    made = encode(processor, tiny.TWO_TURNS, [tiny.picture()], "one")
    assert learned(processor, made) == said
    if name == "v0":  # three words and two stops
        assert sum(label != IGNORED for label in made["labels"]) == 3 + 2


@pytest.mark.parametrize("name", ["plain", *ALL])
def test_the_tokens_are_those_of_upstreams_processor(name):
    processor = reader(name)
    messages = tiny.dialogue(("where", "red"), ("how many shapes are there", "2"), pictures=2)
    made = encode(processor, messages, [tiny.picture(), tiny.picture((0, 0, 9))], "one")
    text = processor.apply_chat_template(messages)
    theirs = processor(text=[text], images=[tiny.picture(), tiny.picture((0, 0, 9))], return_tensors="pt")
    assert made["input_ids"] == theirs["input_ids"][0].tolist()
    assert torch.equal(made["pictures"]["pixel_values"], theirs["pixel_values"])
    assert made["input_ids"].count(processor.image_token_id) == 2 * 4


@pytest.mark.parametrize("name", ALL)
def test_answers_stand_where_upstreams_mask_has_them_and_where_turns_begin(name):
    processor = reader(name)
    text, spans = rendered(processor, tiny.TWO_TURNS)
    for number, (begin, end) in enumerate(spans):
        asked = processor.apply_chat_template(tiny.TWO_TURNS[: 2 * number + 1], add_generation_prompt=True)
        assert text[:begin] == asked
        assert text[:end] == processor.apply_chat_template(tiny.TWO_TURNS[: 2 * number + 2])


def test_a_template_that_writes_turns_anew_is_refused():
    processor = reader()
    processor.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"
    with pytest.raises(DataError, match="writes early turns differently"):
        rendered(processor, tiny.TWO_TURNS)


@pytest.mark.parametrize(
    ("name", "stop"), [("plain", "\n"), ("v0", "###"), ("v1", "</s>"), ("llama_2", "</s>"), (OWN, "<|im_end|>")]
)
def test_what_ends_an_answer(name, stop):
    assert ending_of(reader(name)) == stop


def test_a_batch_is_padded_on_the_right_and_holds_pictures_one_after_another():
    processor = reader()
    collator = DialogueCollator(processor)
    rows = [
        example(tiny.dialogue(("where", "red"), pictures=2), 2, "two"),
        example(tiny.dialogue(("where is it", "top left"), pictures=0), 0, "none"),
        example(),
    ]
    batch = collator([collator.draw(row, Random(0)) for row in rows])
    assert batch["example_ids"] == ["two", "none", "one"]
    assert batch["pixel_values"].shape == (3, 3, tiny.SIDE, tiny.SIDE)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape
    lengths = batch["attention_mask"].sum(1).tolist()
    for row, length in enumerate(lengths):
        assert batch["attention_mask"][row, :length].all()
        assert (batch["input_ids"][row, length:] == processor.tokenizer.pad_token_id).all()
        assert (batch["labels"][row, length:] == IGNORED).all()
    assert (batch["input_ids"] == processor.image_token_id).sum(1).tolist() == [8, 0, 4]


def test_dialogues_without_pictures_make_a_batch():
    collator = DialogueCollator(reader())
    batch = collator([collator.draw(example(tiny.dialogue(("where", "red"), pictures=0), 0), Random(0))])
    assert "pixel_values" not in batch


def test_pictures_stand_before_or_after_the_first_question():
    def kinds(messages):
        return [[part["type"] for part in message["content"]] for message in messages]

    swapped = in_either_order(tiny.TWO_TURNS, swap=True)
    assert kinds(swapped)[0] == ["text", "image"]
    assert kinds(in_either_order(swapped, swap=True)) == kinds(tiny.TWO_TURNS)
    assert in_either_order(tiny.TWO_TURNS, swap=False) == tiny.TWO_TURNS
    assert swapped[1:] == tiny.TWO_TURNS[1:]
    mixed = [{"role": "user", "content": [{"type": "text"}, {"type": "image"}, {"type": "text"}]}]
    assert in_either_order(mixed, swap=True) == mixed
    collator = DialogueCollator(reader())
    first = [collator.draw(example(), Random(seed))["input_ids"].index(4) for seed in range(20)]
    assert len(set(first)) == 2


def test_a_dialogue_that_is_too_long_loses_whole_turns():
    turns = [("where is it", "top left")] * 10
    whole = encode(reader(), tiny.dialogue(*turns), [tiny.picture()], "long")
    short = reader(max_length=60)
    made = encode(short, tiny.dialogue(*turns), [tiny.picture()], "long")
    assert len(made["input_ids"]) <= 60 < len(whole["input_ids"])
    assert made["input_ids"] == whole["input_ids"][: len(made["input_ids"])]
    assert made["labels"][-1] == short.tokenizer.convert_tokens_to_ids("###")


def test_pictures_of_turns_that_are_lost_are_lost_with_them(monkeypatch):
    red, blue = tiny.picture(), tiny.picture((0, 0, 9))
    first, second = tiny.dialogue(("where", "red"), pictures=1), tiny.dialogue(("what", "blue " * 60), pictures=1)
    one = encode(reader(), first, [red], "one")
    short, read = reader(max_length=60), []
    prepare = type(short.image_processor).preprocess
    monkeypatch.setattr(
        type(short.image_processor), "preprocess", lambda *given, **kw: read.append(1) or prepare(*given, **kw)
    )
    turns = [*first, *second, *[message for _ in range(6) for message in tiny.dialogue(("why", "red"), pictures=0)]]
    made = encode(short, turns, [red, blue], "two")
    assert made["input_ids"] == one["input_ids"]
    assert torch.equal(made["pictures"]["pixel_values"], one["pictures"]["pixel_values"])
    assert len(read) == 2  # whatever is lost, pictures are prepared for the whole dialogue and for what is left
    asked = encode(short, [*first, second[0]], [red, blue], "asked")  # of the second picture nothing was said
    assert asked["input_ids"] == one["input_ids"]
    with pytest.raises(DataError, match="speaks of 1 pictures but has 2"):
        encode(short, [*first, second[0]], [red, blue, blue], "three")


@pytest.mark.parametrize(
    ("messages", "pictures", "settings", "message"),
    [
        (tiny.TWO_TURNS, 1, {"max_length": 10}, "example bad has .* tokens in its first turn, more than 10"),
        (tiny.TWO_TURNS, 0, {}, "example bad speaks of 1 pictures but has 0"),
        (tiny.TWO_TURNS, 2, {}, "example bad speaks of 1 pictures but has 2"),
        (tiny.dialogue(("<image> where", "red")), 1, {}, "example bad speaks of 2 pictures but has 1"),
        (tiny.dialogue(("where is it",)), 1, {}, "example bad has no answer to learn"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(messages, pictures, settings, message):
    with pytest.raises(DataError, match=message):
        DialogueCollator(reader(**settings)).draw(example(messages, pictures, "bad"), Random(0))


def test_a_question_at_the_end_that_nobody_answered_is_left_out():
    open_end = tiny.dialogue(("what color is the circle", "red"), ("where is it",))
    made = encode(reader(), open_end, [tiny.picture()], "open")
    assert made == {**encode(reader(), open_end[:2], [tiny.picture()], "open"), "pictures": made["pictures"]}


def test_captions_and_answers_are_dialogues_of_one_turn():
    captions = ListExamples([{"image": tiny.picture(), "captions": ["a red circle", "no"]}], {"captions": "texts"})
    (message, answer) = spoken(captions)[0]["messages"]
    assert [part["type"] for part in message["content"]] == ["image", "text"]
    assert answer["content"] == [{"type": "text", "text": "a red circle"}]
    asked = ListExamples([{"question": "where", "answer": "left"}], {"question": "text", "answer": "text"})
    (message, answer) = spoken(asked)[0]["messages"]
    assert message["content"] == [{"type": "text", "text": "where"}]  # there is no picture
    assert answer["content"][0]["text"] == "left"
    talks = data.load("scenes:dialogue", size=1)
    assert spoken(talks) is talks


def test_llavas_own_json_is_read(tmp_path):
    tiny.picture().save(tmp_path / "one.png")
    row = (
        '{"id": "7", "image": "one.png", "conversations": [{"from": "human", "value": "<image>\\nwhat color is the '
        'circle"}, {"from": "gpt", "value": "red"}]}'
    )
    (tmp_path / "talks.jsonl").write_text(row)
    (found,) = data.load(str(tmp_path / "talks.jsonl"))
    assert found["messages"] == tiny.dialogue(("what color is the circle", "red"))
    made = DialogueCollator(reader()).draw(found, Random(1))
    assert learned(reader(), made) == " red###"
