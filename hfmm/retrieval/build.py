"""Builds an index, a share of the examples at a time: memory does not grow with the data.

An index is built in a folder beside its place and renamed into it when it is whole. What an interrupted build has
finished is taken over by the same command.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hfmm.data.columns import require
from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError, UsageError
from hfmm.factory import picture_size
from hfmm.files import write_atomically
from hfmm.loading import Loaded
from hfmm.retrieval import approximate, exact
from hfmm.retrieval.embedding import BATCH_SIZE, COSINE, Embedder
from hfmm.retrieval.index import ABOUT, CAPTIONS, IMAGES, PARTS, About, Index, embeddings, file_of
from hfmm.retrieval.shards import finish, shard_name, write_shard

KINDS = (exact.EXACT, *approximate.KINDS)
SHARE = 16_384  # examples of a file, which is what an interruption can lose
PLAN = "plan.json"  # of an index that is being built
Report = Callable[[int], object]  # told how many more examples are done


@dataclass(frozen=True)
class Wanted:
    """What is to be built.

    Attributes:
        parts: `images`, `captions` or both.
        kind: One of KINDS.
        skip_bad: Leave out examples that cannot be read; they stop the build otherwise.
        overwrite: Replace an index that is there.
        share: Examples of a file.
    """

    parts: Sequence[str] = (IMAGES,)
    kind: str = exact.EXACT
    skip_bad: bool = False
    overwrite: bool = False
    share: int = SHARE


def build(
    loaded: Loaded,
    examples: Examples,
    data: Mapping[str, Any],
    folder: str | Path,
    wanted: Wanted,
    report: Report = lambda done: None,
) -> Index:
    """Embed a data set and write the index.

    Args:
        loaded: Any model that embeds pictures; captions need one that embeds texts, too.
        examples: With an `image` column; captions need a `captions` column.
        data: What `hfmm.data.load` was given for them.
        folder: Where the index will be.
        wanted: Of what, and how.
        report: Is told of progress.

    Raises:
        UsageError: There is something already, or the model or faiss cannot do what is wanted.
        DataError: A column is missing, an example cannot be read, or none can.
    """
    folder = Path(folder)
    embedder = Embedder(loaded.model, loaded.processor)
    _check(embedder, loaded, examples, folder, wanted)
    about = About(
        model=_place(loaded.where),
        architecture=loaded.row.name,
        width=embedder.width,
        score=embedder.kind,
        kind=wanted.kind,
        data=dict(data) | {"spec": _place(str(data["spec"]))},
        examples=len(examples),
        fingerprint=tuple(round(value, 7) for value in embedder.fingerprint().tolist()),
    )
    staged = _staged(folder, about, wanted)
    count = -(-len(examples) // wanted.share)
    for number in range(count):
        first, last = number * wanted.share, min((number + 1) * wanted.share, len(examples))
        files = {part: staged / part / shard_name(number, count) for part in wanted.parts}
        if all(file.is_file() for file in files.values()):
            report(last - first)
            continue
        _write_share(embedder, examples.select(range(first, last)), first, files, wanted.skip_bad, report)
    counts = {part: finish(staged / part, count) for part in wanted.parts}
    if not all(counts.values()):
        raise DataError(f"{examples.name} {examples.split}: no example could be read, so there is nothing to index")
    if wanted.kind != exact.EXACT:
        for part in wanted.parts:
            rows = datasets.load_from_disk(str(staged / part))
            approximate.build(wanted.kind, partial(embeddings, rows), len(rows), about.width, staged / f"{part}.faiss")
    write_atomically(staged / ABOUT, replace(about, counts=counts).to_json())
    _move(staged, folder)
    return Index(folder)


def _check(embedder: Embedder, loaded: Loaded, examples: Examples, folder: Path, wanted: Wanted) -> None:
    """Refuse what cannot become an index, before anything is written."""
    if folder.exists() and not wanted.overwrite:
        raise UsageError(f"{folder} is there already: --overwrite replaces it, --output-dir takes another place")
    if folder.exists() and not (folder / ABOUT).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something else than an index: it is not overwritten")
    require(examples, ["image"], "an index")
    if not len(examples):
        raise DataError(f"{examples.name} {examples.split} has no examples: there is nothing to index")
    if CAPTIONS in wanted.parts:
        require(examples, ["captions"], "an index of captions")
        if not embedder.takes_texts:
            raise UsageError(f"{loaded.row.name} embeds pictures, and no texts: index with --of {IMAGES}")
    if wanted.kind != exact.EXACT:
        approximate.faiss()
        if embedder.kind != COSINE:
            raise UsageError(f"{loaded.row.name} compares in a way of its own, not by cosines: take --kind exact")


def _place(where: str) -> str:
    """A path that holds wherever the index is searched from; other names as they are."""
    path = Path(where).expanduser()
    return str(path.resolve()) if path.exists() else where


def _staged(folder: Path, about: About, wanted: Wanted) -> Path:
    """The folder to build in: that of an interrupted build of the same, else an empty one."""
    staged = folder.with_name(f".{folder.name}.building")
    plan = json.dumps({**json.loads(about.to_json()), "parts": sorted(wanted.parts), "share": wanted.share})
    try:
        same = (staged / PLAN).read_text(encoding="utf-8") == plan
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(staged, ignore_errors=True)
        for part in wanted.parts:
            (staged / part).mkdir(parents=True)
        write_atomically(staged / PLAN, plan)
    return staged


class _Readable(torch.utils.data.Dataset[Example | None]):
    """Examples, and None for those that cannot be read and may be left out."""

    def __init__(self, examples: Examples, skip_bad: bool) -> None:
        self.examples, self.skip_bad = examples, skip_bad

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> Example | None:
        try:
            example = self.examples[row]
            if example["image"] is None:
                raise DataError(f"{self.examples.where(row)}: no image")
        except DataError:
            if not self.skip_bad:
                raise
            return None
        return example | {"file": file_of(self.examples, row)}


def _write_share(
    embedder: Embedder,
    examples: Examples,
    first: int,
    files: Mapping[str, Path],
    skip_bad: bool,
    report: Report,
) -> None:
    """Embed some examples and write the file of each part."""
    images: dict[str, list[Any]] = {name: [] for name in ("id", "row", "file")}
    captions: dict[str, list[Any]] = {name: [] for name in ("id", "row", "caption")}
    embedded: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    row = first
    for batch in _batches(examples, embedder.processor, skip_bad):
        read = [(row + place, example) for place, example in enumerate(batch) if example is not None]
        row += len(batch)
        if read and IMAGES in files:
            embedded[IMAGES].append(embedder.pictures([example["image"] for _, example in read]))
        for place, example in read:
            _append(images, id=example["id"], row=place, file=example["file"])
            if CAPTIONS in files:
                for caption in example["captions"]:
                    _append(captions, id=example["id"], row=place, caption=caption)
        report(len(batch))
    if CAPTIONS in files:
        embedded[CAPTIONS] = list(_embedded_texts(embedder, captions["caption"]))
        write_shard(files[CAPTIONS], captions, embedded[CAPTIONS], embedder.width)
    if IMAGES in files:
        write_shard(files[IMAGES], images, embedded[IMAGES], embedder.width)


def _append(columns: dict[str, list[Any]], **values: Any) -> None:
    for name, value in values.items():
        columns[name].append(value)


def _batches(examples: Examples, processor: Any, skip_bad: bool) -> Iterator[list[Example | None]]:
    """Examples in order, read by a worker where they fill more than a batch."""
    rows = _Readable(examples.sized(*picture_size(processor)), skip_bad)
    workers = 1 if len(rows) > BATCH_SIZE else 0
    return iter(DataLoader(rows, BATCH_SIZE, collate_fn=list, num_workers=workers))


def _embedded_texts(embedder: Embedder, texts: Sequence[str]) -> Iterator[Tensor]:
    """Embeddings of texts, equal ones made once."""
    different = list(dict.fromkeys(texts))
    places = {text: place for place, text in enumerate(different)}
    starts = range(0, len(different), BATCH_SIZE)
    found = [embedder.texts(different[start : start + BATCH_SIZE], cut=True) for start in starts]
    if found:
        yield torch.cat(found)[[places[text] for text in texts]]


def _move(staged: Path, folder: Path) -> None:
    """Put a finished index in its place; one that was there is gone afterwards."""
    (staged / PLAN).unlink()
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
