"""What the page of a reproduced captioner shows: right and wrong captions, the best of a beam, neighbors of words."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

from hfmm import data, metrics
from hfmm.data.sources import is_built_in
from hfmm.evaluation.captioning import caption
from hfmm.explanation.base import Explanation
from hfmm.explanation.captioning import explain_caption
from hfmm.explanation.drawing import panels
from hfmm.explanation.overlay import seen_by
from hfmm.explanation.page import Section, html_table
from hfmm.explanation.words import word_neighbors
from hfmm.files import write_atomically
from hfmm.hub import cards
from hfmm.loading import Loaded, load
from hfmm.training.journal import talk
from hfmm.training.recipe import Recipe

SCORED = 300  # test pictures among which right and wrong ones are looked for
SHOWN = 4  # right ones, and as many wrong ones
BEST = 5  # captions of a beam
BEAMS = 20
WORDS = 12  # words whose neighbors are shown
COMMON = 400  # captions that the words are counted in


def sections(run: Path, settings: Recipe, quiet: bool) -> list[Section]:
    """The sections of the page, from the first seed's run; the neighbors of words also go into a file beside it."""
    loaded = load(run)
    columns = settings.data.columns or None
    test = data.load(settings.data.name, split="test", columns=columns, **settings.scored_options)
    training = data.load(settings.data.name, split=settings.data.split, columns=columns, **settings.data.options)
    talk("looking for right and wrong captions", quiet)
    right, wrong = right_and_wrong(loaded, test.select(range(min(SCORED, len(test)))))
    seen = [text for row in range(min(COMMON, len(training))) for text in training.peek(row)["captions"]]
    every = [] if is_built_in(settings.data.name) else [text for texts in training.column("captions") for text in texts]
    near = _neighbors(loaded, seen)
    write_atomically(run.parent / cards.NEIGHBORS, json.dumps(near, indent=1, ensure_ascii=False) + "\n")
    return [
        ("Right captions, and where the model looked", [_explained(loaded, test[row]) for row in right]),
        ("Wrong captions, and where the model looked", [_explained(loaded, test[row]) for row in wrong]),
        (
            f"The {BEST} best of a beam of {BEAMS}" + ("; (new) is in no training caption" if every else ""),
            n_best(loaded, [test[row] for row in [*right, *wrong]], every),
        ),
        ("Neighbors of words", [html_table([["word", "nearest by cosine"], *map(list, near.items())])]),
    ]


def right_and_wrong(loaded: Loaded, examples: Any) -> tuple[list[int], list[int]]:
    """Rows of the examples with the highest and with the lowest CIDEr of their own."""
    captions, read = caption(loaded.model, loaded.processor, examples, num_beams=1)
    scores = metrics.load("cider").compute(
        predictions=captions, references=[example["captions"] for example in read], tokenizer="ptb", per_caption=True
    )["cider_per_caption"]
    order = sorted(range(len(captions)), key=lambda row: scores[row])
    return order[: -SHOWN - 1 : -1], order[:SHOWN]


def _explained(loaded: Loaded, example: dict[str, Any]) -> Explanation:
    return explain_caption(loaded.model, loaded.processor, example["image"], num_beams=BEST)


def n_best(loaded: Loaded, examples: list[dict[str, Any]], training: list[str]) -> list[Explanation]:
    """The best captions of a beam with their log-probabilities, and which of them no training caption is."""
    found = [_beam(loaded, example) for example in examples]
    captions = [text for texts, _ in found for text in texts]
    new = [False] * len(captions)
    if training:
        compute = metrics.load("novelty").compute
        new = compute(predictions=captions, training=training, tokenizer="ptb", per_caption=True)["novelty_per_caption"]
    explanations = []
    for number, (example, (texts, scores)) in enumerate(zip(examples, found, strict=True)):
        fresh = [bool(is_new) for is_new in new[number * BEST : (number + 1) * BEST]]
        lines = [
            f"{score:.2f}  {text}{' (new)' if is_new else ''}"
            for text, score, is_new in zip(texts, scores, fresh, strict=True)
        ]
        sheet = panels([seen_by(loaded.processor, example["image"])] * BEST, lines, columns=BEST)
        explanations.append(Explanation(texts[0], sheet, {"captions": texts, "scores": scores, "new": fresh}))
    return explanations


def _beam(loaded: Loaded, example: dict[str, Any]) -> tuple[list[str], list[float]]:
    processor, model = loaded.processor, cast(Any, loaded.model)
    output = model.generate(
        **processor(images=example["image"]).to(model.device),
        num_beams=BEAMS,
        num_return_sequences=BEST,
        return_dict_in_generate=True,
        output_scores=True,
    )
    return processor.post_process_image_text_to_text(output.sequences), output.sequences_scores.tolist()


def _neighbors(loaded: Loaded, texts: list[str]) -> dict[str, str]:
    """The commonest words that are no function words, and of each the words near it with their cosines."""
    tokenizer = loaded.processor.tokenizer
    words = Counter(word for text in texts for word in set(tokenizer.tokenize(text)))
    common = [word for word, _ in words.most_common() if len(word) > 3 and word.isalpha()][:WORDS]
    found = word_neighbors(loaded.model, loaded.processor, common)
    return {word: ", ".join(f"{near} {cosine:.2f}" for near, cosine in pairs) for word, pairs in found.items()}
