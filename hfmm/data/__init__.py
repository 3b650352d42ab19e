"""What goes in: sources, typed examples, batches. Light: what is heavy is imported when data are loaded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfmm.data.examples import Examples


def load(
    spec: str,
    split: str = "train",
    columns: str | Mapping[str, str] | None = None,
    on_bad_example: str = "error",
    **options: Any,
) -> "Examples":
    """Load a data set; the same as `--data SPEC`.

    Args:
        spec: `scenes`, `scenes:VIEW` or `digits` (built in); a folder of parquet, JSON Lines, CSV, a JSON list or
            pictures (imagefolder), or one such file; or a Hub data set id (USER/NAME).
        split: `train`, `validation` (also `val`, `valid`, `dev`), `test` or a name of the data's own; `train[:90%]` and
            `train[90%:]` (or numbers of rows) are parts of one.
        columns: Which column to take, `image=photo,captions=sentences` or a mapping. Common names map themselves.
        on_bad_example: `error` checks every row but its pixels now, and raises; `skip` leaves bad rows to be met and
            replaced by `KeyedExamples`.
        **options: Of the source. Built-in data: see `Scenes`, `Motion`, `Sound`, `Spoken` and `Digits`. Others:
            `max_pixels` (of a picture), `ignore_index` (of masks, mapped to 255), `pictures` (the folder where their
            paths start); Hub: `config`, `revision`.

    Raises:
        DataError: No such data, split or column, or a bad row; the message names file and row.
        UsageError: An unknown option, or columns that are not written as above.
        AccessError: The Hub cannot be reached.
    """
    from hfmm.data.sources import load_examples
    from hfmm.data.splits import part_of, parted

    name, ends = parted(split)
    examples = load_examples(spec, name, columns, on_bad_example, options)
    return examples if ends is None else part_of(examples, ends)
