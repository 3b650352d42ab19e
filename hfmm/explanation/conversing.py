"""Why this answer: the patches of the picture that reached each of its tokens.

Axes: T tokens, N patches.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hfmm.data.dialogues import batch_of, encode
from hfmm.errors import UsageError
from hfmm.explanation.base import Explanation
from hfmm.explanation.dialogue import Talk, reply
from hfmm.explanation.drawing import panels
from hfmm.explanation.overlay import SIDE, overlay, seen_by
from hfmm.explanation.rollout import attention_rollout, eager

COLUMNS = 6
LONGEST = 64  # tokens of an answer
ANSWERED = 23  # tokens of it that are shown, at most


def explain_dialogue(
    model: Any, processor: Any, image: Image.Image, texts: Sequence[str] = (), **generation: Any
) -> Explanation:
    """Ask a model about a picture, turn by turn, and show where it looked for each token of its answers.

    Args:
        model: That converses, over patches of a square picture.
        processor: Its processor.
        image: Any picture.
        texts: What is asked, one turn after another.
        generation: Arguments of `generate`.

    Returns:
        A panel an answer's token. `data` has `turns`, of each `question`, `answer`, `words`, `attention` (words, h, w),
        the share of each patch in the attention's rollout over the layers, and `on_picture`, the sum of these.

    Raises:
        UsageError: Nothing is asked, or the picture's tokens form no square.
    """
    if not texts:
        raise UsageError("what is asked of the picture? Give one question a turn with --text")
    messages: list[dict[str, Any]] = []
    turns = []
    for text in texts:
        shown = [] if messages else [{"type": "image"}]
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": text}]})
        settings = {"max_new_tokens": LONGEST, "do_sample": False, **generation}
        (answer,) = reply(model, processor, [Talk(messages, [image])], **settings)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        turns.append({"question": text, "answer": answer, **_looked(model, processor, messages, answer, image)})
    picture = seen_by(processor, image)
    lit, words = [picture], [""]
    for turn in turns:
        for number, (word, attention) in enumerate(zip(turn["words"], turn["attention"], strict=True)):
            lit.append(overlay(picture, np.array(attention)))
            words.append(f"{turn['question']}: {word}" if number == 0 else word)
    title = ", ".join(f"{turn['question']}: {turn['answer']}" for turn in turns)
    return Explanation(title, panels(lit, words, COLUMNS, SIDE), {"turns": turns})


@torch.inference_mode()
def _looked(
    model: Any, processor: Any, messages: list[dict[str, Any]], answer: str, image: Image.Image
) -> dict[str, Any]:
    """Where the model looked for each token of the last answer, the first ones of a long one."""
    made = encode(processor, messages, [image], "of this conversation")
    ids, (start, end) = made["input_ids"], _place_of(answer, processor, made["labels"], made["input_ids"])
    end = min(end, start + ANSWERED)
    inputs = {name: value.to(model.device) for name, value in batch_of(processor, [made]).items()}
    with eager(model):
        output = model(**inputs, output_attentions=True)
    flow = attention_rollout(output.attentions)[0]  # T T
    patches = _last_view(place for place, token in enumerate(ids) if token == processor.image_token_id)
    maps = flow[start - 1 : end - 1][:, patches].float().cpu().numpy()  # answer N; a token is said at the one before
    words = [processor.tokenizer.decode([token]).strip() for token in ids[start:end]]
    shares = maps.sum(1).round(6).tolist()
    return {"words": words, "attention": _squares(maps).round(6).tolist(), "on_picture": shares}


def _last_view(places: Iterable[int]) -> list[int]:
    """The last run of places without a gap: of a picture in tiles, the whole of it, which comes after them."""
    run: list[int] = []
    for place in places:
        run = [*run, place] if run and place == run[-1] + 1 else [place]
    return run


def _place_of(answer: str, processor: Any, labels: Sequence[int], ids: Sequence[int]) -> tuple[int, int]:
    """Where the tokens of the last answer begin, and where they end, before those that end it."""
    after = max(place for place, label in enumerate(labels) if label >= 0) + 1
    start = after
    while start > 0 and labels[start - 1] >= 0:
        start -= 1
    ends = (end for end in range(start + 1, after) if processor.tokenizer.decode(ids[start:end]).strip() == answer)
    return start, next(ends, after)


def _squares(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, N) to (T, h, w).

    Raises:
        UsageError: The patches do not form a square.
    """
    side = round(maps.shape[1] ** 0.5)
    if side * side != maps.shape[1]:
        raise UsageError(f"{maps.shape[1]} tokens of a picture do not form a square: they cannot be overlaid")
    return maps.reshape(-1, side, side)
