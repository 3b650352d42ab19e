"""Checkpoints that a kill at any moment cannot spoil: staged, flushed, renamed, then rotated."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hfmm.errors import DataError, ResourceError
from hfmm.results import STATE_VALUES

FOLDER = "checkpoints"
STATE_TENSORS = "training_state.safetensors"


def _flush(folder: Path) -> None:
    """Bring a folder and all in it to the disk."""
    for path in [*sorted(folder.rglob("*")), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def publish_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make `target` appear complete or not at all; one that is there is complete and stays.

    Args:
        target: The folder to make.
        fill: Writes the content into the staging folder beside it.

    Raises:
        ResourceError: The disk is full; the staging folder is removed.
    """
    if target.exists():
        return
    staged = target.with_name(f".{target.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        fill(staged)
        _flush(staged)
    except (OSError, SafetensorError, RuntimeError) as error:
        size = sum(path.stat().st_size for path in staged.rglob("*") if path.is_file())
        shutil.rmtree(staged, ignore_errors=True)
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            free = shutil.disk_usage(target.parent).free
            raise ResourceError(
                f"{target}: disk full: need over {size / 1e6:.0f} MB, have {free / 1e6:.0f} MB; "
                "free some space and give the same command again (earlier checkpoints are intact)"
            ) from error
        raise
    staged.rename(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Checkpoints:
    """The `checkpoints/` of a run directory.

    Args:
        run: The run directory.
        keep: How many of the newest stay; the best stays as well.
    """

    def __init__(self, run: Path, keep: int) -> None:
        self.folder = run / FOLDER
        self.keep = keep

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is."""
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Steps with a complete checkpoint, in order. Staging folders have other names."""
        return sorted(int(path.name.removeprefix("step-")) for path in self.folder.glob("step-*"))

    def latest(self) -> int | None:
        """The newest complete step, or None."""
        return max(self.steps(), default=None)

    def save(
        self,
        step: int,
        save_model: Callable[[Path], None],
        tensors: dict[str, Tensor],
        values: dict[str, Any],
        best: int | None = None,
    ) -> Path:
        """Write the checkpoint of a step, then remove the oldest beyond `keep`.

        Args:
            step: Steps taken.
            save_model: Writes what `from_pretrained` loads (weights, config, processor, card).
            tensors: Training state.
            values: Training state that JSON can hold.
            best: The step that scored best; its checkpoint stays.
        """

        def fill(folder: Path) -> None:
            save_model(folder)
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / STATE_TENSORS
            )
            (folder / STATE_VALUES).write_text(json.dumps(values))

        target = self.path(step)
        publish_folder(target, fill)
        self.rotate(best)
        return target

    def rotate(self, best: int | None = None) -> None:
        """Remove the oldest checkpoints beyond `keep`, but never the best, and what a killed save left."""
        for leftover in self.folder.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for step in self.steps()[: -self.keep]:
            if step != best:
                doomed = self.path(step).with_name(f".step-{step:08d}.removed")  # half removed must not look complete
                self.path(step).rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)

    def load(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The training state of a step.

        Raises:
            DataError: A file of it is damaged.
        """
        path = self.path(step)
        try:
            return load_file(path / STATE_TENSORS), json.loads((path / STATE_VALUES).read_text())
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise DataError(
                f"{path}: the training state is damaged; remove this folder to continue from an earlier one"
            ) from error


def split_state(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Part a state dictionary into tensors and JSON values."""
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return tensors, {name: value for name, value in state.items() if name not in tensors}
