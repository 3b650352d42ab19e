"""Examples that are persons (or classes), each with pictures: what losses that compare pictures draw batches from."""

from contextlib import suppress
from typing import Any

from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError


class Identities(Examples):
    """One example a label, with all examples of that label.

    An example has `id`, `label`, `members` (the examples of the label, read when they are asked for) and `count`, how
    many of them a batch holds. Examples without a label, and those that
    cannot be read, are left out.

    Args:
        base: With `image` and `label` columns.
        count: Members that a batch holds of each label, at most.
    """

    features = {"label": "label", "members": "value", "count": "number"}

    def __init__(self, base: Examples, count: int) -> None:
        self.base, self.count = base, count
        self.name, self.split, self.label_names = base.name, base.split, base.label_names
        rows: dict[Any, list[int]] = {}
        for row in range(len(base)):
            with suppress(DataError):  # whoever wants to hear of it has been told when the data were opened
                rows.setdefault(base.peek(row)["label"], []).append(row)
        rows.pop(None, None)
        self.labels: list[int] = sorted(rows)
        self.rows = [rows[label] for label in self.labels]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> Example:
        """A label and its examples; no picture is decoded."""
        label = self.labels[row]
        members = self.base.select(self.rows[row])
        return {
            "id": f"{self.name}-{self.split}-label-{label}",
            "label": label,
            "members": members,
            "count": self.count,
        }

    def where(self, row: int) -> str:
        """What an error calls a label."""
        return f"{self.name} {self.split} label {self.labels[row]}"

    def sized(self, height: int, width: int) -> Examples:
        """The same labels of the sized data set."""
        sized = self.base.sized(height, width)
        return self if sized is self.base else Identities(sized, self.count)
