"""What visitors and programs can say to the models that converse."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
from PIL import Image
from speakers import Speaker, answer
from uploads import refusal, told

from hfmm.explanation.dialogue import Talk

NOBODY = "nobody"
MOST = 8  # pictures of a conversation
LONGEST = 2000  # letters of what is said at once
TOKENS = 512  # of an answer, at most
HOTTEST = 2  # temperature
SIDE = 1024  # pixels of the longer side of a picture that is kept
NOTHING = {"text": "", "files": []}  # what is left to say once it is said
Message = dict[str, Any]
Sent = tuple[str, list[tuple[str, Image.Image]]]  # words, and the file of each picture with what it holds


@dataclass(frozen=True)
class Conversation:
    """What one model has heard and said.

    Attributes:
        talk: As the model takes it.
        shown: As visitors see it.
    """

    talk: Talk = field(default_factory=lambda: Talk([]))
    shown: tuple[Message, ...] = ()

    def asked(self, text: str, files: list[str], pictures: list[Image.Image]) -> "Conversation":
        """The same after a visitor has said something."""
        content = [*({"path": file} for file in files), text]
        return Conversation(self.talk.asked(text, pictures), (*self.shown, {"role": "user", "content": content}))

    def settled(self) -> "Conversation":
        """The same without a question that was not answered, because the visitor or the model stopped."""
        messages = self.talk.messages
        if not messages or messages[-1]["role"] == "assistant":
            return self
        new = sum(part["type"] == "image" for part in messages[-1]["content"])
        pictures = self.talk.pictures[: len(self.talk.pictures) - new]
        return Conversation(Talk(messages[:-1], pictures), self.shown[:-1])

    def growing(self, text: str) -> "Conversation":
        """The same while the model says something, as visitors see it."""
        return replace(self, shown=(*self.shown, {"role": "assistant", "content": text or "(nothing)"}))

    def answered(self, text: str) -> "Conversation":
        """The same after the model has said something."""
        return replace(self.growing(text), talk=self.talk.answered(text))


Memory = Mapping[str, Conversation]  # by the name of the model


class Parlor:
    """What visitors and programs can ask for. The docstrings are what the API and MCP clients read.

    Args:
        speakers: By name.
    """

    def __init__(self, speakers: Mapping[str, Speaker]) -> None:
        self.speakers = speakers

    def say(
        self, words: Sent, model: str, other: str, longest: float, temperature: float, memory: Memory
    ) -> Iterator[tuple[list[Message], list[Message], Memory]]:
        """Say something, with pictures or without, and hear what one model or two answer, word by word.

        Args:
            words: Text, and uploaded pictures of at most 5 MB each, 8 in a conversation.
            model: Name of the model.
            other: Name of a model that hears the same and answers for itself, or "nobody".
            longest: Tokens of an answer, 1 to 512.
            temperature: 0 for the likeliest words, up to 2 for others.
            memory: What was said before.

        Returns:
            The conversation with the model, and that with the other.
        """
        yield from self._answered(longest, temperature, self._heard(words, model, other, memory))

    def converse(
        self, words: Sent, model: str, other: str, longest: float, temperature: float, memory: Memory
    ) -> Iterator[tuple[Any, ...]]:
        """The same for the page, whose box is emptied once: a visitor may be writing again while the models answer."""
        heard = self._heard(words, model, other, memory)
        yield *_views(heard), heard, NOTHING
        for shown in self._answered(longest, temperature, heard):
            yield *shown, gr.skip()

    def _heard(self, words: Sent, model: str, other: str, memory: Memory) -> Memory:
        """Add what a visitor says to the conversations with a model and another."""
        text, sent = words
        if not text.strip():
            raise refusal("Write something first.")
        if len(text) > LONGEST:
            raise refusal(f"This is too long: {LONGEST} letters are the limit.")
        names = [self._known(name) for name in dict.fromkeys((model, other)) if name != NOBODY]
        files, pictures = [file for file, _ in sent], [_small(picture) for _, picture in sent]
        asked = {
            name: memory.get(name, Conversation()).settled().asked(text.strip(), files, pictures) for name in names
        }
        if any(len(each.talk.pictures) > MOST for each in asked.values()):
            raise refusal(f"A conversation is about {MOST} pictures at most: clear it to show others.")
        return asked

    def _answered(
        self, longest: float, temperature: float, memory: Memory
    ) -> Iterator[tuple[list[Message], list[Message], Memory]]:
        """Let the models that were asked answer, one after the other, and show what they say."""
        if not (1 <= longest <= TOKENS and 0 <= temperature <= HOTTEST):
            raise refusal(f"An answer has 1 to {TOKENS} tokens, and its temperature is 0 to {HOTTEST}.")
        talks = dict(memory)
        for name, asked in memory.items():
            with told():
                for said in answer(self.speakers[name], asked.talk, int(longest), temperature):
                    talks[name] = asked.growing(said)
                    yield *_views(talks), memory
                talks[name] = asked.answered(said)
        yield *_views(talks), talks

    def clear(self) -> tuple[list[Message], list[Message], Memory]:
        """Forget the conversation and begin another, which knows nothing of it.

        Returns:
            Two empty conversations.
        """
        return [], [], {}

    def _known(self, name: str) -> str:
        if name not in self.speakers:
            raise refusal(f"There is no model '{name}': known are {', '.join(self.speakers)}.")
        return name


def _small(picture: Image.Image) -> Image.Image:
    """A picture to keep for a while: models look at fewer pixels anyway."""
    picture.thumbnail((SIDE, SIDE))
    return picture


def _views(talks: Memory) -> tuple[list[Message], list[Message]]:
    """Both conversations as visitors see them; the second is empty where there is one."""
    first, second = [*(list(each.shown) for each in talks.values()), []][:2]
    return first, second
