"""Arrow rows, memory-mapped by `datasets`: parquet files and data sets of the Hub."""

import errno
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub.errors import HfHubHTTPError

from hfmm.data.tables import Row, Table
from hfmm.errors import AccessError, DataError, HfmmError, ResourceError

_HEAVY = ("image", "images", "audio", "video", "binary")
_BLOCK = 1000  # rows read at once where all are wanted
_BAD_CELLS = (UnicodeDecodeError, OSError, ValueError)  # pyarrow.ArrowInvalid is a ValueError
_REFUSED = (ConnectionError, TimeoutError, PermissionError, HfHubHTTPError)


class ArrowTable(Table):
    """A memory-mapped `datasets.Dataset`, its media undecoded."""

    def __init__(self, rows: datasets.Dataset, name: str, files: Sequence[tuple[Path, int]] = ()) -> None:
        """Look at the types.

        Args:
            rows: The data set; Image, Audio and Video columns are cast to stay bytes and path.
            name: What errors call it, where it has no files.
            files: The parquet files it was made of and the rows in each, in order.
        """
        self.name, self.folder = name, files[0][0].parent if files else None
        self.kinds, self.class_names = {}, {}
        for column, feature in rows.features.items():
            self.kinds[column] = _feature_kind(feature)
            if isinstance(feature, datasets.ClassLabel):
                self.class_names[column] = tuple(feature.names)
            elif isinstance(feature, datasets.Image | datasets.Audio | datasets.Video):
                rows = rows.cast_column(column, type(feature)(decode=False))
            elif self.kinds[column] == "images" and isinstance(feature.feature, datasets.Image):
                rows = rows.cast_column(column, datasets.List(datasets.Image(decode=False)))
        self._dataset = rows
        self._paths = [path for path, _ in files]
        self._ends = [sum(count for _, count in files[: number + 1]) for number in range(len(files))]

    def __len__(self) -> int:
        return len(self._dataset)

    def row(self, index: int) -> Row:
        """One row; pictures, sounds and clips as their bytes and path."""
        try:
            return self._dataset[index]
        except _BAD_CELLS as error:
            raise DataError(f"the row cannot be read ({error})") from error

    def light_rows(self) -> Iterator[Row | DataError]:
        """Every row; a picture, sound or clip is True where there is one, so that its bytes are not read."""
        heavy = [column for column, kind in self.kinds.items() if kind in _HEAVY]
        light = self._dataset.remove_columns(heavy)
        present = {column: _present(self._dataset.data.column(column)) for column in heavy}
        for start in range(0, len(self), _BLOCK):
            indices = range(start, min(start + _BLOCK, len(self)))
            media = [{column: _stand_in(there[index]) for column, there in present.items()} for index in indices]
            try:
                columns = light[start : indices.stop] if light.column_names else {}
                rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
                yield from (row | stand_in for row, stand_in in zip(rows or [{}] * len(media), media, strict=True))
            except _BAD_CELLS:  # one of them; read singly, to tell which
                yield from (
                    self._light_row(light, index, stand_in) for index, stand_in in zip(indices, media, strict=True)
                )

    @staticmethod
    def _light_row(light: datasets.Dataset, index: int, media: Row) -> Row | DataError:
        try:
            return light[index] | media
        except _BAD_CELLS as error:
            return DataError(f"the row cannot be read ({error})")

    def distinct(self, column: str) -> set[Any]:
        """The texts and numbers that a column holds."""
        return set(self._dataset.unique(column)) - {None}

    def where(self, index: int) -> str:
        """Parquet file and the row in it, or name and row."""
        if not self._paths:
            return f"{self.name} row {index}"
        part = bisect_right(self._ends, index)
        return f"{self._paths[part]} row {index - (self._ends[part - 1] if part else 0)}"


def _stand_in(there: Any) -> Any:
    """What a light row has instead of media: True, a list of so many, or nothing."""
    return bool(there) or None if isinstance(there, bool | np.bool_) else [True] * int(there)


def _present(column: pa.ChunkedArray) -> np.ndarray:
    """Which cells of a column of media hold bytes or a path, bool; of lists, how many they hold. (rows,)."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    if not pa.types.is_struct(column.type):
        return column.is_valid().to_numpy()
    fields = [pc.struct_field(column, name).is_valid() for name in ("bytes", "path")]
    return pc.or_(*fields).to_numpy()


def _feature_kind(feature: Any) -> str:
    """The kind of a `datasets` feature."""
    for kind in ("Image", "Audio", "Video", "ClassLabel"):
        if isinstance(feature, getattr(datasets, kind)):
            return "label" if kind == "ClassLabel" else kind.lower()
    if isinstance(feature, datasets.Value):
        if feature.dtype in ("string", "large_string"):
            return "text"
        if feature.dtype in ("binary", "large_binary"):
            return "binary"
        return "number" if feature.dtype.startswith(("int", "uint", "float")) else "value"
    if isinstance(feature, datasets.List | datasets.LargeList):
        return {"text": "texts", "image": "images"}.get(_feature_kind(feature.feature), "value")
    if isinstance(feature, dict) and set(feature) == {"bytes", "path"}:
        return "image"
    return "value"


def read_parquet(files: Sequence[Path], name: str) -> ArrowTable:
    """The rows of parquet files, through the memory-mapped copy that `datasets` keeps in its cache.

    Args:
        files: In order.
        name: What errors call them together.

    Raises:
        DataError: A file cannot be read.
        ResourceError: No room for the copy.
    """
    counted = []
    for file in files:
        try:
            counted.append((file, pq.read_metadata(file).num_rows))
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is not a readable parquet file ({error})") from error
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        patterns = [escape(str(file)) for file in files]
        rows = datasets.load_dataset("parquet", data_files={"train": patterns}, split="train")
    except Exception as error:  # DatasetGenerationError around pyarrow's own, OSError and others
        raise _reading_error(error, name) from error
    finally:
        if shown:
            datasets.enable_progress_bars()
    return ArrowTable(rows, name, counted)


def load_hub(name: str, config: str | None, revision: str | None) -> dict[str, datasets.Dataset]:
    """Every split of a data set of the Hub, or of the local cache of it.

    Raises:
        DataError: No such data set, or not one that can be read.
        AccessError: The Hub cannot be reached, or refuses.
    """
    try:
        return {str(split): rows for split, rows in datasets.load_dataset(name, config, revision=revision).items()}
    except Exception as error:  # those of the network, the Hub, Arrow and the file system
        raise _reading_error(error, name) from error


def _reading_error(error: BaseException, place: str) -> HfmmError:
    """What `datasets` raised, as the error that fits, in one line."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = " ".join(str(cause).split())[:300]
    if isinstance(error, datasets.exceptions.DatasetNotFoundError):
        return DataError(f"no data set '{place}': no such file or folder here, and not on the Hub ({reason})")
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(f"disk full while preparing {place}: free some, or set HF_DATASETS_CACHE ({reason})")
    if isinstance(error, _REFUSED) or isinstance(cause, _REFUSED):
        return AccessError(f"'{place}' is no file or folder here, and the Hub or its cache refused ({reason})")
    return DataError(f"{place} cannot be read ({reason})")
