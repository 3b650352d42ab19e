"""Every problem of a data set, with its line or row: what `hfmm doctor --data` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from hfmm.data.checks import Problem
from hfmm.data.columns import parse_columns, pictures_of, require
from hfmm.data.examples import Examples, printable
from hfmm.data.local import Source
from hfmm.data.messages import spoken
from hfmm.data.sources import examples_of, is_built_in, load_built_in, open_source
from hfmm.data.splits import canonical_split
from hfmm.errors import DataError


def diagnose(
    spec: str,
    split: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    processor: Any = None,
    **options: Any,
) -> list[Problem]:
    """Read all of a data set, pictures decoded, and list what is wrong.

    Args:
        spec: As in `hfmm.data.load`.
        split: Only this one; every split if None.
        columns: As in `hfmm.data.load`.
        processor: Of a model that converses: dialogues that are longer than it takes are told, too.
        **options: As in `hfmm.data.load`.

    Returns:
        Problems in the order of the data; none for built-in data, which are drawn and not read.

    Raises:
        DataError: There is no such data set at all.
        UsageError: Built-in data have no such view, split or option.
    """
    if is_built_in(spec):
        load_built_in(spec, canonical_split(split or "train"), dict(options))
        return []
    explicit = parse_columns(columns)
    source = open_source(spec, options.get("config"), options.get("revision"))
    splits = source.splits if split is None else (canonical_split(split),)
    return [problem for name in splits for problem in _split_problems(source, spec, name, explicit, options, processor)]


def _split_problems(
    source: Source,
    spec: str,
    split: str,
    explicit: Mapping[str, str],
    options: Mapping[str, Any],
    processor: Any,
) -> Iterator[Problem]:
    try:
        examples = examples_of(source, spec, split, explicit, options)
    except DataError as error:
        yield Problem(f"{spec} {split}", str(error))
    else:
        yield from examples.problems(pictures=True)
        if processor is not None:
            yield from too_long(examples, processor)


def too_long(examples: Examples, processor: Any) -> Iterator[Problem]:
    """Dialogues with more tokens than a model takes; rows that cannot be read are left out.

    Args:
        examples: Dialogues, or what can be some.
        processor: With a chat template, whose tokenizer says how long a dialogue may be.

    Raises:
        DataError: They are no dialogues.
    """
    from hfmm.data.dialogues import length_of  # torch, which the doctor does without otherwise

    limit = processor.tokenizer.model_max_length
    dialogues = spoken(examples)
    require(dialogues, ("messages",), "image-text-to-text")
    for row in range(len(dialogues)):
        try:
            example = dialogues.read(row)
        except DataError:
            continue
        try:
            count = length_of(processor, example["messages"], pictures_of(example), example["id"])
        except DataError as error:
            yield Problem(dialogues.where(row), printable(str(error)))
            continue
        if count > limit:
            yield Problem(dialogues.where(row), f"the dialogue has {count} tokens, more than the model's {limit}")
