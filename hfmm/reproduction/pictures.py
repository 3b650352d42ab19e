"""What the page of any reproduced model of pictures shows: test pictures, and why the model says what it says."""

from pathlib import Path
from typing import Any

from hfmm import data
from hfmm.data.messages import questions_of, spoken
from hfmm.explanation import ANSWERING, CONVERSING, DRAWS_TEXTS, EXPLAINERS, GENERATES, RETRIEVAL, VERIFIES
from hfmm.explanation.page import Section
from hfmm.explanation.samples import explain_samples
from hfmm.loading import load
from hfmm.reproduction.verification import told_apart
from hfmm.training.journal import talk
from hfmm.training.recipe import Recipe

SHOWN = 8
MOST = 60_000  # training pictures among which those nearest to new ones are looked for


def sections(run: Path, settings: Recipe, quiet: bool) -> list[Section]:
    """The sections of the page, from the first seed's run: pictures at equal distances in the test split.

    A model that compares pictures with texts chooses among the first captions of them all; one that draws texts draws
    their first captions; a generator also draws new pictures, and a verifier begins with how well it tells them apart.
    """
    loaded = load(run)
    test = data.load(settings.data.name, split="test", columns=settings.data.columns or None, **settings.scored_options)
    explain = EXPLAINERS.get(loaded.row.tasks[0])
    if explain is None:
        return []
    talk("explaining test pictures", quiet)
    rows = range(0, len(test), max(1, len(test) // SHOWN))[:SHOWN]
    options: list[dict[str, Any]] = [{} for _ in rows]
    if loaded.row.tasks[0] == RETRIEVAL:
        captions = [test.peek(row)["captions"][0] for row in rows]
        options = [{"texts": list(dict.fromkeys(captions)), "truth": caption} for caption in captions]
    if loaded.row.tasks[0] == ANSWERING:
        asked_of = [test.peek(row) for row in rows]
        options = [{"texts": [example["question"]], "truth": example["answer"]} for example in asked_of]
    if loaded.row.tasks[0] == CONVERSING:
        options = [{"texts": questions_of(spoken(test).peek(row))} for row in rows]
    if loaded.row.tasks[0] == DRAWS_TEXTS:
        options = [{"texts": test.peek(row)["captions"][:1]} for row in rows]
    shown = [
        explain(loaded.model, loaded.processor, test[row]["image"], **asked)
        for row, asked in zip(rows, options, strict=True)
    ]
    found: list[Section] = [("Test pictures, and why", shown)]
    if loaded.row.tasks[0] == VERIFIES:
        found.insert(0, ("How well they are told apart", [told_apart(loaded.model, loaded.processor, test)]))
    if loaded.row.tasks[0] == GENERATES:
        talk("looking for the training pictures nearest to new ones", quiet)
        training = data.load(
            settings.data.name, settings.data.split, columns=settings.data.columns or None, **settings.data.options
        )
        near = explain_samples(loaded.model, loaded.processor, training.select(range(min(MOST, len(training)))))
        found.append(("New pictures, and the training pictures nearest to each", [near]))
    return found
