"""Writing files so that a kill at any moment leaves the old or the new one."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that readers see the old or the new one, never half of it."""
    staged = path.with_name(f".{path.name}.staged")
    with staged.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
