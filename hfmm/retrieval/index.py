"""An index on disk: the embeddings of a data set's pictures, captions or both, and which model made them.

    INDEX/index.json      which model, which data, how many; written last
    INDEX/images/         id, row, file, embedding: opens with `datasets.load_from_disk`, memory-mapped
    INDEX/captions/       id, row, caption, embedding
    INDEX/images.faiss    an approximate index beside it, where one was asked for

Axes: Q queries, N rows, D width, K wanted.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import datasets
import pyarrow as pa
import torch
from torch import Tensor

from hfmm.data import load as load_data
from hfmm.data.examples import Examples
from hfmm.errors import DataError, UsageError
from hfmm.loading import Loaded
from hfmm.loading import load as load_model
from hfmm.retrieval import approximate, exact
from hfmm.retrieval.embedding import Embedder
from hfmm.retrieval.exact import Found

ABOUT = "index.json"
IMAGES, CAPTIONS = PARTS = ("images", "captions")
EMBEDDING = "embedding"
VERSION = 1
CLOSE = 1e-3  # relative; embeddings of one picture on two machines are much closer, of two models much farther


@dataclass(frozen=True)
class About:
    """What an index is of.

    Attributes:
        model: Run directory or repository.
        architecture: Of the catalogue.
        width: D.
        score: `cosine`, or `own` where the model compares in a way of its own.
        kind: `exact`, or an approximate kind that was built beside.
        data: What `hfmm.data.load` takes: `spec`, `split`, `columns` and others.
        examples: How many the data have.
        fingerprint: By which the model is known, see [`Embedder.fingerprint`].
        counts: Rows of each part.
        version: Of this layout.
    """

    model: str
    architecture: str
    width: int
    score: str
    kind: str
    data: Mapping[str, Any]
    examples: int
    fingerprint: tuple[float, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    version: int = VERSION

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file that `to_json` filled.

        Raises:
            DataError: It is damaged, or of another layout.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            about = cls(**values | {"fingerprint": tuple(values["fingerprint"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is damaged ({error}): index the data again") from error
        if about.version != VERSION:
            raise DataError(f"{path} has layout {about.version}, this hfmm reads {VERSION}: index the data again")
        return about


class Index:
    """An index that was built.

    Attributes:
        folder: Where it is.
        about: What it is of.
        parts: `images`, `captions` or both, as data sets.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open an index; its embeddings stay on disk.

        Raises:
            UsageError: There is no index.
            DataError: It is damaged, or empty.
        """
        self.folder = Path(folder)
        if not (self.folder / ABOUT).is_file():
            raise UsageError(f"{folder} is not an index: `hfmm index RUN --data D --output-dir {folder}` makes one")
        self.about = About.read(self.folder / ABOUT)
        try:
            self.parts = {part: datasets.load_from_disk(str(self.folder / part)) for part in self.about.counts}
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            line = " ".join(str(error).split())
            raise DataError(f"{folder} is damaged ({line}): index the data again with --overwrite") from error
        for part, rows in self.parts.items():
            if len(rows) != self.about.counts[part]:
                raise DataError(f"{folder} is damaged: {len(rows):,} {part} of {self.about.counts[part]:,} are there")
            if not len(rows):
                raise DataError(f"{folder} is empty: it holds no {part}")

    def part(self, name: str) -> datasets.Dataset:
        """The rows of a part.

        Raises:
            UsageError: The index does not hold it.
        """
        if name not in self.parts:
            raise UsageError(f"{self.folder} holds no {name}, only {' and '.join(self.parts)}: index them with --of")
        return self.parts[name]

    def embedder(self, model: str | Path | None = None, device: str = "cpu") -> Embedder:
        """The model that embeds queries.

        Args:
            model: Where it is now; where it was by default.
            device: As torch names it.

        Raises:
            UsageError: It is not there, or it is not the model that made the index.
        """
        where = self.about.model if model is None else model
        try:
            loaded = load_model(where, device)
        except UsageError as error:
            raise UsageError(f"the model of {self.folder}: {error}; --model says where it is") from error
        return self.checked(loaded)

    def checked(self, loaded: Loaded) -> Embedder:
        """A model as what embeds queries.

        Raises:
            UsageError: It is not the model that made the index.
        """
        embedder = Embedder(loaded.model, loaded.processor)
        if embedder.width != self.about.width:
            raise UsageError(
                f"{self.folder} holds embeddings of width {self.about.width}, made by {self.about.model}; those of "
                f"{loaded.where} have {embedder.width}"
            )
        made, now = torch.tensor(self.about.fingerprint), embedder.fingerprint()
        if (made - now).norm() > CLOSE * made.norm():
            raise UsageError(
                f"{self.folder} is an index of another model than {loaded.where}: {self.about.model} as it was then; "
                "index the data again, or name that model with --model"
            )
        return embedder

    def search(self, embedder: Embedder, queries: Tensor, from_text: bool, part: str, count: int) -> Found:
        """The best rows of a part for embedded queries.

        Args:
            embedder: Of the model that made the index.
            queries: (Q, D).
            from_text: Whether they are texts.
            part: `images` or `captions`.
            count: K.
        """
        rows = self.part(part)
        if queries.shape[1] != self.about.width:
            raise DataError(f"queries have a width of {queries.shape[1]}, {self.folder} has {self.about.width}")
        if self.about.kind != exact.EXACT:
            return approximate.search(self.folder / f"{part}.faiss", queries, count)

        def score(asked: Tensor, block: Tensor) -> Tensor:
            return embedder.score(asked, block, from_text, part == CAPTIONS)

        return exact.search(queries, embeddings(rows), count, score)

    def examples(self, spec: str | None = None) -> Examples:
        """The data that were indexed, to show what was found.

        Args:
            spec: Where they are now; where they were by default.

        Raises:
            DataError: They are not there, or there are fewer.
        """
        settings = dict(self.about.data)
        was = settings.pop("spec")
        examples = load_data(was if spec is None else spec, on_bad_example="skip", **settings)
        if len(examples) < self.about.examples:
            raise DataError(
                f"{examples.name} has {len(examples):,} examples, {self.about.examples:,} when {self.folder} was made"
            )
        return examples


def embeddings(rows: datasets.Dataset) -> Iterator[Tensor]:
    """The embeddings of a part in blocks (n, D), which are the mapped file itself."""
    for chunk in rows.data.column(EMBEDDING).chunks:
        if not len(chunk):
            continue
        values = chunk.flatten().to_numpy(zero_copy_only=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nor is it written
            yield torch.from_numpy(values).view(len(chunk), -1)


def file_of(examples: Examples, row: int) -> str:
    """The name of the file that an example's picture is, as the data have it; empty where it is none."""
    cell = examples.peek(row)["image"]
    named = cell.get("path") if isinstance(cell, dict) else cell
    return named if isinstance(named, str) else ""
