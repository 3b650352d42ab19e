"""Conversations: history and clearing it, several pictures, pieces as they come, and batches equal to singles."""

import pytest
import torch

import hfmm
from hfmm import catalogue
from hfmm.errors import DataError, UsageError
from hfmm.evaluation.prediction import PREDICTORS, Wanted
from hfmm.explanation.dialogue import Talk, reply, stopping
from hfmm.explanation.streaming import _before
from hfmm.loading import Loaded
from hfmm.nn.chat_processing import set_template
from tests.models.generalist import tiny_llava as tiny

QUESTION = "what color is the circle"


def chat(template="v0", name="llava", **settings):
    reader = tiny.processor(template, **settings)
    model = tiny.model(reader, name)
    return hfmm.LlavaChat(Loaded(model, reader, catalogue.find(name), "here"))


@pytest.mark.parametrize("name", ["llava", "llava_1_5"])
def test_a_conversation_goes_on_from_its_history(name):
    talk = chat(name=name)
    first = talk.ask(QUESTION, [tiny.picture()], max_new_tokens=6)
    assert talk.messages == tiny.dialogue((QUESTION, first))
    second = talk.ask("where is it", [tiny.picture((0, 0, 200))], max_new_tokens=6)
    assert len(talk.pictures) == 2
    whole = [*tiny.dialogue((QUESTION, first)), *tiny.dialogue(("where is it",))]
    (expected,) = reply(
        talk.loaded.model, talk.loaded.processor, [Talk(whole, talk.pictures)], max_new_tokens=6, do_sample=False
    )
    assert second == expected


def test_a_cleared_history_leaves_nothing():
    talk = chat()
    fresh = talk.ask(QUESTION, [tiny.picture()], max_new_tokens=8)
    talk.clear()
    talk.ask("how many shapes are there", [tiny.picture((0, 0, 0))] * 2, max_new_tokens=8)
    talk.clear()
    assert talk.messages == talk.pictures == []
    assert talk.ask(QUESTION, [tiny.picture()], max_new_tokens=8) == fresh


def test_pieces_are_the_answer():
    talk = chat()
    answer = talk.ask(QUESTION, [tiny.picture()], max_new_tokens=12)
    said = list(talk.messages)
    talk.clear()
    pieces = list(talk.stream(QUESTION, [tiny.picture()], max_new_tokens=12))
    assert "".join(pieces).strip() == answer
    assert talk.messages == said


def test_a_reader_who_goes_leaves_no_trace():
    talk = chat()
    stream = talk.stream(QUESTION, [tiny.picture()], max_new_tokens=200)
    next(stream, None)
    stream.close()
    assert talk.messages == []
    assert talk.ask(QUESTION, [tiny.picture()], max_new_tokens=4) is not None


def test_what_fails_while_pieces_come_is_told():
    talk = chat()
    with pytest.raises(ValueError, match="temperature"):
        list(talk.stream(QUESTION, [tiny.picture()], temperature=-1.0))
    with pytest.raises(DataError, match="speaks of 2 pictures but has 1"):
        list(talk.stream("<image> where", [tiny.picture()]))


def test_beams_are_refused_where_pieces_are_wanted():
    talk = chat()
    with pytest.raises(UsageError, match="cannot be streamed"):
        talk.stream(QUESTION, [tiny.picture()], num_beams=2)
    assert isinstance(talk.ask(QUESTION, [tiny.picture()], num_beams=2, max_new_tokens=4), str)


@torch.no_grad()
def test_a_batch_padded_on_the_left_equals_singles():
    talk = chat()
    questions = ["where is it", QUESTION, "how many shapes are there"]
    shown = [[tiny.picture((0, 200, 0))], [tiny.picture()] * 2, []]
    together = talk.ask_each(questions, shown, max_new_tokens=10)
    alone = [
        talk.ask_each([question], [one], max_new_tokens=10)[0] for question, one in zip(questions, shown, strict=True)
    ]
    assert together == alone
    assert talk.messages == []


@torch.no_grad()
def test_the_cache_changes_nothing():
    talk = chat()
    cached, whole = (
        talk.ask_each([QUESTION], [[tiny.picture()]], max_new_tokens=10, use_cache=kept)[0] for kept in (True, False)
    )
    assert cached == whole


def test_an_answer_ends_where_the_template_ends_it():
    talk = chat()
    model, reader = talk.loaded.model, talk.loaded.processor
    assert "stop_strings" not in stopping(model, reader)  # `###` is a token that ends what is generated
    set_template(reader, "plain")
    assert stopping(model, reader)["stop_strings"] == ["\n"]


@pytest.mark.parametrize(
    ("pieces", "stop", "said"),
    [
        ([" re", "d#", "##", " Human"], "###", "red"),
        ([" a # b", "##"], "###", "a # b##"),
        (["red"], "", "red"),
        (["re", "d</", "s>"], "</s>", "red"),
    ],
)
def test_what_may_begin_an_end_is_held_back(pieces, stop, said):
    given, kept = [], []

    def read():
        kept.append((yield from _before(iter(pieces), stop)))

    given = list(read())
    assert "".join(given) == said
    assert kept == [said]


def test_a_conversation_that_is_too_long_is_refused():
    talk = chat(max_length=20)
    with pytest.raises(DataError, match="tokens before its answer, more than 20"):
        talk.ask(QUESTION * 3, [tiny.picture()])
    assert talk.messages == []


def test_predictions_are_the_turns_of_a_conversation(tmp_path):
    tiny.picture().save(tmp_path / "one.png")
    loaded = chat().loaded
    wanted = Wanted([tmp_path / "one.png"], [QUESTION, "where is it"])
    rows = PREDICTORS["image-text-to-text"](loaded, wanted)
    talk = hfmm.LlavaChat(loaded)
    answers = [talk.ask(QUESTION, [tiny.picture()]), talk.ask("where is it")]
    assert [(row["text"], row["predictions"]) for row in rows] == [
        (QUESTION, answers[:1]),
        ("where is it", answers[1:]),
    ]
    (alone,) = PREDICTORS["image-text-to-text"](loaded, Wanted(texts=["where is it"]))
    assert alone["image"] == ""
    with pytest.raises(UsageError, match="ask something with --text"):
        PREDICTORS["image-text-to-text"](loaded, Wanted([tmp_path / "one.png"]))


def test_other_models_do_not_converse():
    other = Loaded(None, None, catalogue.find("vgg"), "here")
    with pytest.raises(UsageError, match="here does not converse: its task is image-classification"):
        hfmm.LlavaChat(other)
