"""What all built-in scenes share: examples made as they are read, as data sets, and the checks of their arguments."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hfmm.data.examples import Example, Examples
from hfmm.data.scenes.world import MAX_OBJECTS
from hfmm.errors import UsageError, unknown

if TYPE_CHECKING:
    import datasets

SIZE_OF_SPLIT = {"train": 100_000, "validation": 1_000, "test": 1_000, "test_heldout": 1_000}


class Drawn(Examples):
    """Examples that are a pure function of a seed, a split and a row. Subclasses set `features` and implement `read`.

    Args:
        name: What a person types to get it.
        split: One of SIZE_OF_SPLIT.
        size: Number of examples; that of SIZE_OF_SPLIT if None. Costs no memory.
        seed: Of every choice.
        picture_size: Pixels a side, 32 to 1024.

    Raises:
        UsageError: An argument is not one of these.
    """

    def __init__(self, name: str, split: str, size: int | None, seed: int, picture_size: int) -> None:
        if split not in SIZE_OF_SPLIT:
            raise unknown("split of scenes", split, SIZE_OF_SPLIT)
        self.name, self.split = name, split
        self.size = whole("size", SIZE_OF_SPLIT[split] if size is None else size, 1)
        self.seed = whole("seed", seed, 0)
        self.picture_size = whole("picture_size", picture_size, 32, 1024)

    def __len__(self) -> int:
        return self.size

    def to_dataset(self) -> "datasets.Dataset":
        """These examples as a `datasets.Dataset`. They are still made as they are read: it stores row numbers only."""
        import datasets  # takes a second, and few need it

        return datasets.Dataset.from_dict({"row": range(len(self))}).with_transform(self._of_rows)

    def to_iterable(self, num_shards: int = 1) -> "datasets.IterableDataset":
        """These examples as an `IterableDataset`; its `state_dict` resumes anywhere without making what came before."""
        import datasets

        rows = datasets.Dataset.from_dict({"row": range(len(self))}).to_iterable_dataset(num_shards)
        return rows.map(self._of_row, remove_columns=["row"])

    def _of_row(self, row: dict[str, int]) -> Example:
        return self[row["row"]]

    def _of_rows(self, rows: dict[str, list[int]]) -> dict[str, list[Any]]:
        examples = [self[row] for row in rows["row"]]
        return {column: [example[column] for example in examples] for column in ("id", *self.features)}


def chosen_fields(fields: Sequence[str] | None, usual: Sequence[str], known: Mapping[str, Any]) -> Sequence[str]:
    """The fields asked for, `usual` if None."""
    chosen = usual if fields is None else fields
    for field in chosen:
        if field not in known:
            raise unknown("field of scenes", field, known)
    return chosen


def whole(name: str, value: int, least: int, greatest: int | None = None) -> int:
    """A whole number inside its bounds."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least or (greatest is not None and value > greatest):
        bounds = f"of at least {least}" if greatest is None else f"from {least} to {greatest}"
        raise UsageError(f"'{name}' of scenes must be a whole number {bounds}, not {value!r}")
    return value


def frequencies(objects: Sequence[float]) -> tuple[float, ...]:
    """Relative frequencies of 1, 2, ... objects."""
    plausible = isinstance(objects, Sequence) and 0 < len(objects) <= MAX_OBJECTS
    if not plausible or not all(_is_frequency(weight) for weight in objects) or not sum(objects) > 0:
        raise UsageError(
            f"'objects' of scenes must be the frequencies of 1, 2, ... objects, at most {MAX_OBJECTS} numbers "
            f"such as [0.5, 0.5], not {objects!r}"
        )
    return tuple(float(weight) for weight in objects)


def _is_frequency(weight: object) -> bool:
    return isinstance(weight, (int, float)) and 0 <= weight < float("inf")
