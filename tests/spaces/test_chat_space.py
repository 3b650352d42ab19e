"""The chat app: its endpoints and their limits, where it is published, adapters, and what `hfmm demo` opens."""

import json
import os
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from itertools import pairwise

import pytest
from PIL import Image

import hfmm
from hfmm.cli import demo
from hfmm.errors import UsageError
from hfmm.explanation.dialogue import Talk, reply
from hfmm.hub.spaces import APPS, folder_of
from hfmm.loading import load

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

APP = folder_of("chat")
EXAMPLES = sorted((APP / "examples").glob("*.png"))
PLAIN, ADAPTED = "llava (llava)", "llava (adapter), adapted"
NOBODY = "nobody"


@pytest.fixture
def client(chat_address, tmp_path):
    """A visitor who has said nothing yet."""
    from gradio_client import Client

    return Client(chat_address, verbose=False, download_files=str(tmp_path / "downloads"))


@pytest.fixture
def say(client):
    """Say something with pictures; returns both conversations."""
    from gradio_client import handle_file

    def said(text, *pictures, model=PLAIN, other=NOBODY, longest=6, temperature=0):
        words = {"text": text, "files": [handle_file(str(path)) for path in pictures]}
        return client.predict(words, model, other, longest, temperature, api_name="/say")

    return said


def texts(conversation):
    """Who said what, pictures as `<image>`."""
    return [
        (message["role"], *("<image>" if "file" in part else part["text"] for part in message["content"]))
        for message in conversation
    ]


def expected(folder, *turns, longest=6):
    """What a model answers to (text, pictures) turns, one after another."""
    loaded, talk, answers = load(folder), Talk([]), []
    for text, pictures in turns:
        talk = talk.asked(text, [Image.open(path).convert("RGB") for path in pictures])
        (answer,) = reply(loaded.model, loaded.processor, [talk], max_new_tokens=longest, do_sample=False)
        talk, answers = talk.answered(answer), [*answers, answer]
    return answers


def test_a_conversation_goes_on_with_several_pictures(say, talkers):
    first, second = say("what color is the star", EXAMPLES[0])
    assert second == []
    turns = [("what color is the star", EXAMPLES[:1]), ("and here", EXAMPLES[1:3])]
    answers = expected(talkers / "llava", *turns)
    assert texts(first) == [("user", "<image>", "what color is the star"), ("assistant", answers[0])]
    first, _ = say("and here", *EXAMPLES[1:3])
    assert texts(first)[2:] == [("user", "<image>", "<image>", "and here"), ("assistant", answers[1])]


def test_what_was_cleared_is_forgotten(say, client, talkers):
    say("what color is the star", EXAMPLES[0])
    assert client.predict(api_name="/clear") == ([], [])
    first, _ = say("and here", EXAMPLES[1])
    assert texts(first)[1:] == [("assistant", *expected(talkers / "llava", ("and here", EXAMPLES[1:2])))]


def test_visitors_do_not_hear_each_other(say, chat_address):
    from gradio_client import Client

    say("what color is the star", EXAMPLES[0])
    other = Client(chat_address, verbose=False)
    first, *_ = other.predict({"text": "hello", "files": []}, PLAIN, NOBODY, 3, 0, api_name="/say")
    assert len(first) == 2


def test_two_models_answer_the_same_words_each_for_itself(say, talkers):
    turns = [("what color is the star", EXAMPLES[:1]), ("and where", [])]
    for text, pictures in turns:
        both = say(text, *pictures, other=ADAPTED)
    for conversation, name in zip(both, ("llava", "adapter"), strict=True):
        assert [text for role, *_, text in texts(conversation) if role == "assistant"] == expected(
            talkers / name, *turns
        )
    alone, none = say("again", other=PLAIN)  # the same model twice is one
    assert (len(alone), none) == (6, [])


def test_answers_come_piece_by_piece(client):
    from gradio_client import handle_file

    words = {"text": "what color is the star", "files": [handle_file(str(EXAMPLES[0]))]}
    job = client.submit(words, PLAIN, NOBODY, 60, 2, api_name="/say")  # hot, so that there are words
    job.result()
    said = [first[-1]["content"][0]["text"] for first, *_ in job.outputs()]
    assert len(set(said)) > 2
    assert all(later.strip().startswith(sooner.strip()) for sooner, later in pairwise(said))


def test_temperature_draws(say, client):
    found = set()
    for _ in range(3):
        client.predict(api_name="/clear")
        found.add(texts(say("what color is the star", EXAMPLES[0], temperature=2)[0])[-1])
    assert len(found) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": " "}, "Write something first"),
        ({"text": "x" * 2001}, "2000 letters are the limit"),
        ({"text": "y " * 900}, "Example of this conversation has .* tokens before its answer, more than 512"),
        ({"text": "what", "longest": 0}, "1 to 512 tokens|[Mm]inimum"),
        ({"text": "what", "temperature": 3}, "0 to 2|[Mm]aximum"),
        ({"text": "what", "model": "gpt"}, "not in the list|There is no model 'gpt'"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(say, given, message):
    with pytest.raises(Exception, match=message):
        say(**given)


@pytest.mark.parametrize(("name", "message"), [("words.png", "no picture that can be"), ("huge.png", "40 megapixels")])
def test_uploads_that_are_no_pictures_are_refused(say, files, name, message):
    with pytest.raises(Exception, match=message):
        say("what", files / name)


def test_a_conversation_has_eight_pictures_at_most(say):
    with pytest.raises(Exception, match="These are 9 pictures: the limit is 8"):
        say("what", *EXAMPLES[:1] * 9)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/a.png", "/etc/passwd", "file:///etc/passwd"])
def test_addresses_and_paths_are_refused(chat_address, place):
    words = {"text": "what", "files": [{"path": place, "meta": {"_type": "gradio.FileData"}}]}
    body = json.dumps({"data": [words, PLAIN, NOBODY, 3, 0]}).encode()
    request = urllib.request.Request(
        f"{chat_address}gradio_api/call/say", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{chat_address}gradio_api/call/say/{event}") as answer:
        assert answer.read().decode().startswith("event: error")


def test_endpoints_are_named_and_described(client, chat_address):
    endpoints = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/clear", "/say"]
    with urllib.request.urlopen(f"{chat_address}gradio_api/info") as answer:
        described = json.load(answer)["named_endpoints"]
    assert all("Args" not in each["description"] and each["description"] for each in described.values())


def test_demo_opens_plain_and_adapted_models(talkers, chat_address):
    app, page = demo.open_app([str(talkers / "llava"), str(talkers / "adapter")])
    assert app.__file__ == str(APP / "app.py")
    assert page._queue.max_size == 20
    choices = next(block.choices for block in page.blocks.values() if getattr(block, "elem_id", "") == "model")
    assert [name for name, _ in choices] == [PLAIN, ADAPTED]
    assert APPS["image-text-to-text"] == "chat"


def test_a_model_that_does_not_converse_is_refused(files, chat_address):
    app = demo.import_app(APP)
    with pytest.raises(UsageError, match=r"show and tell .* does not converse: its processor has no chat template"):
        app.load(str(files / "show_and_tell"), own_code=False)


def test_adapters_are_loaded_without_hfmms_loader(talkers, chat_address):
    speaker = demo.import_app(APP).load(str(talkers / "adapter"), own_code=False)
    assert speaker.name == ADAPTED
    turn = Talk([]).asked("what color is the star", [Image.open(EXAMPLES[0]).convert("RGB")])
    found = reply(speaker.model, speaker.processor, [turn], max_new_tokens=6, do_sample=False)
    assert found == expected(talkers / "adapter", ("what color is the star", EXAMPLES[:1]))
    assert found != expected(talkers / "llava", ("what color is the star", EXAMPLES[:1]))


def test_published_with_its_space_it_runs_where_hfmm_is_not_installed(talkers, chat_address, tmp_path):
    hfmm.publish(talkers / "llava", "me/llava", local_dir=tmp_path / "out", space=True)
    code = """
import sys
sys.modules["hfmm"] = None  # importing it raises
sys.path.insert(0, "")
import app, parlor
from PIL import Image
names, own_code = app.wanted()
speaker = app.load(names[0], own_code)
app.build([speaker])
sent = ("what color is the star", [(sys.argv[1], Image.open(sys.argv[1]).convert("RGB"))])
*_, (first, second, memory) = parlor.Parlor({speaker.name: speaker}).say(sent, speaker.name, "nobody", 6, 0, {})
print(len(first), second, list(memory) == [speaker.name], first[-1]["content"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, EXAMPLES[0]],
        capture_output=True,
        text=True,
        cwd=tmp_path / "out-space",
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    (answer,) = expected(talkers / "llava", ("what color is the star", EXAMPLES[:1]))
    assert done.stdout == f"2 [] True {answer}\n"
    written = {path.name for path in (tmp_path / "out-space").iterdir()}
    assert written >= {"app.py", "parlor.py", "speakers.py", "serving.py", "uploads.py", "parts", "models.json"}


def test_requirements_are_exact_and_few():
    lines = (APP / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"gradio", "peft", "pillow", "torch", "transformers"}
    assert all("==" in line for line in lines)
