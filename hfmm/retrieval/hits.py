"""One query to an index, its hits, and the sheet that shows them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from hfmm.data.examples import Examples
from hfmm.errors import DataError, UsageError
from hfmm.explanation.media import enlarged
from hfmm.explanation.preview import SIDE, Card, Figure, Line
from hfmm.explanation.sheet import save
from hfmm.retrieval.embedding import Embedder
from hfmm.retrieval.index import CAPTIONS, IMAGES, Index, file_of

SHOWN_CAPTIONS = 2  # of a picture


class Hit(NamedTuple):
    """A picture or caption that was found.

    Attributes:
        score: Higher fits better.
        id: Of its example.
        row: Of its example in the data.
        file: Of a picture that is one.
        caption: Of a caption.
    """

    score: float
    id: str
    row: int
    file: str = ""
    caption: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What it has."""
        return {name: value for name, value in self._asdict().items() if value != ""}


def ask(index: Index, embedder: Embedder, query: str | Image.Image, part: str, count: int) -> list[Hit]:
    """The best pictures or captions for words or a picture.

    Args:
        index: Where to look.
        embedder: Of the model that made it.
        query: Words, or a picture.
        part: `images` or `captions`, of which each text is given once.
        count: How many; fewer where there are no more.

    Returns:
        Best first.

    Raises:
        UsageError: The index lacks that part, the model embeds no texts, or the words are more than it takes.
    """
    rows = index.part(part)
    if isinstance(query, str):
        if not query.strip():
            raise UsageError("the query is empty: say what to search for")
        embedded = embedder.texts([query])
    else:
        embedded = embedder.pictures([query])
    wanted = count
    while True:
        found = index.search(embedder, embedded, isinstance(query, str), part, wanted)
        hits = list(_hits(rows, found.scores[0].tolist(), found.rows[0].tolist()))
        if part == CAPTIONS:
            hits = _different(hits)
        if len(hits) >= count or wanted >= len(rows):
            return hits[:count]
        wanted *= 4


def _different(hits: Sequence[Hit]) -> list[Hit]:
    """Of equal captions the best."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.caption, hit)
    return list(best.values())


def _hits(rows: Any, scores: Sequence[float], places: Sequence[int]) -> Iterator[Hit]:
    there = [(score, place) for score, place in zip(scores, places, strict=True) if place >= 0]
    read = rows.select_columns([name for name in rows.column_names if name in Hit._fields])[[p for _, p in there]]
    for number, (score, _) in enumerate(there):
        yield Hit(score, **{name: values[number] for name, values in read.items()})


def write_sheet(
    path: Path, hits: Sequence[Hit], examples: Examples, query: str | Image.Image, part: str, lead: str
) -> None:
    """Show the hits on a page or in a picture, see [`hfmm.explanation.sheet`].

    Args:
        path: Ends in .html, or as a picture does.
        hits: Best first.
        examples: The data that were indexed.
        query: Words are the title; a picture stands first.
        part: `images` or `captions`.
        lead: A line under the title.

    Raises:
        DataError: An example is not the one that was indexed, or cannot be read.
    """
    cards = [] if isinstance(query, str) else [Card("query", (_figure(query),), ())]
    drawn = examples.sized(SIDE, SIDE)
    for place, hit in enumerate(hits, 1):
        title = f"{place}, {hit.score:.3f}, {hit.file or hit.id}"
        example = drawn[hit.row]
        was, now = (hit.file, file_of(examples, hit.row)) if hit.file else (hit.id, example["id"])
        if was != now:
            raise DataError(f"{examples.where(hit.row)} is {now}, and was {was} when it was indexed")
        said = [hit.caption] if part == CAPTIONS else (example.get("captions") or [])[:SHOWN_CAPTIONS]
        lines = [Line("caption", text) for text in said]
        label, names = example.get("label"), examples.label_names
        if part == IMAGES and names and isinstance(label, int):
            lines.insert(0, Line("label", names[label]))
        cards.append(Card(title, (_figure(example["image"]),), tuple(lines)))
    save(cards, query if isinstance(query, str) else "like this picture", lead, path)


def _figure(picture: Image.Image) -> Figure:
    return Figure(enlarged(picture, SIDE, SIDE))
