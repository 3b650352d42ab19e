"""A run's directory and its saved state: what is written, what is taken back."""

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from hfmm.device import hardware
from hfmm.errors import UsageError
from hfmm.files import write_atomically
from hfmm.hub import cards
from hfmm.hub.pipelines import write_index
from hfmm.results import STATE_VALUES
from hfmm.training.build import Built
from hfmm.training.checkpoints import STATE_TENSORS, Checkpoints, split_state
from hfmm.training.optim import MovingAverage
from hfmm.training.pieces import collected, gathered, load
from hfmm.training.recipe import Recipe, from_dict, read_yaml

RECIPE, ENVIRONMENT, FINISHED = "recipe.yaml", "environment.json", "finished.json"
PACKAGES = (
    "hfmm",
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "peft",
    "huggingface_hub",
    "safetensors",
    "numpy",
    "pillow",
)


@dataclass
class Progress:
    """What a run knows of itself between steps, saved in every checkpoint.

    Attributes:
        step: Steps taken.
        seconds: Spent in steps so far, over all starts.
        best: `{"step", "value", "scores"}` of the best evaluation.
        stale: Evaluations since the best.
        scores: Of the last evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    best: dict[str, Any] | None = None
    stale: int = 0
    scores: dict[str, float] = field(default_factory=dict)


class RunDirectory:
    """The folder of one run.

    Args:
        path: Made if it is not there.
        recipe: What this command wants.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path = path
        self.recipe = recipe
        self.checkpoints = Checkpoints(path, recipe.checkpoints.keep)

    def open(self, overwrite: bool) -> None:
        """Make or continue the directory.

        Raises:
            UsageError: It holds a run of another recipe, or something that is not a run.
        """
        written = self.path / RECIPE
        if written.exists() and self._has_begun() and not overwrite:
            changed = _differences(from_dict(read_yaml(written)).to_dict(), self.recipe.to_dict())
            if changed:
                raise UsageError(
                    f"{self.path} holds a run of another recipe ({'; '.join(changed[:3])}): "
                    "give --overwrite to start it again, or another --output-dir"
                )
        elif self.path.exists() and any(self.path.iterdir()) and not written.exists():
            raise UsageError(f"{self.path} is not empty and holds no run: give another --output-dir")
        if overwrite and written.exists():
            self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(written, self.recipe.to_yaml())

    def _has_begun(self) -> bool:
        """Whether anything is there but what is written before the first step: a start that failed is no run."""
        return any(item.name not in (RECIPE, ENVIRONMENT) for item in self.path.iterdir())

    def _clear(self) -> None:
        """Remove a run, its recipe last, so that what a kill leaves is still known as a run."""
        for item in sorted(self.path.iterdir(), key=lambda item: item.name == RECIPE):
            shutil.rmtree(item) if item.is_dir() else item.unlink()

    def finished(self) -> dict[str, Any] | None:
        """What was noted when the run finished, or None."""
        path = self.checkpoints.folder / FINISHED
        return json.loads(path.read_text()) if path.exists() else None

    def write_environment(self, accelerator: Accelerator) -> None:
        """Note versions, hardware, precision and command."""
        found = {}
        for package in PACKAGES:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        values = {
            "python": platform.python_version(), "platform": platform.platform(), "hardware": hardware(),
            "threads": torch.get_num_threads(), "processes": accelerator.num_processes,
            "precision": "bf16" if accelerator.mixed_precision == "bf16" else "fp32", "packages": found,
            "command": ["hfmm", *sys.argv[1:]] if Path(sys.argv[0]).name in ("hfmm", "__main__.py") else [],
        }  # fmt: skip
        write_atomically(self.path / ENVIRONMENT, json.dumps(values, indent=2) + "\n")

    def export(self, built: Built, folder: Path, weights: dict[str, Tensor] | None) -> None:
        """Write what loads with the Auto classes.

        Args:
            built: What is written.
            folder: Where to.
            weights: The weights, where those of `built` are in pieces.
        """
        given: dict[str, Any] = {} if weights is None else {"state_dict": weights}
        if built.adapters is not None:
            given["save_embedding_layers"] = False  # the base has the vocabulary, whose size peft would look up
        _saved(built).save_pretrained(folder, **given)
        built.processor.save_pretrained(folder)
        write_index(folder, built.row)
        (folder / RECIPE).write_text(self.recipe.to_yaml(), encoding="utf-8")
        cards.write_run_card(built.row, self.path, folder)

    def save(self, built: Built, progress: Progress) -> None:
        """Write a checkpoint of everything; all processes come here together, and the main one writes."""
        tensors, values = split_state(built.objective.state_dict())
        state: dict[str, Tensor] = {f"objective.{name}": tensor for name, tensor in tensors.items()}
        for name, player in built.players.items():
            state |= {f"player.{name}.{key}": tensor for key, tensor in player.state_dict().items()}
        if _weights_differ(built):
            state |= {f"trained.{name}": tensor for name, tensor in _trained(built.model).items()}
        changing = bool(_averages(built))  # about to be exchanged with the weights
        state = collected(state, built.accelerator.is_main_process, copy=changing)
        with _kept(built) as weights:
            if not built.accelerator.is_main_process:
                return
            self.checkpoints.save(
                progress.step,
                lambda folder: self.export(built, folder, weights),
                state,
                {"progress": vars(progress), "objective": values},
                best=int(progress.best["step"]) if progress.best else None,
            )

    def restore(self, built: Built) -> Progress:
        """Take back the newest checkpoint, if there is one."""
        step = self.checkpoints.latest()
        if step is None:
            return Progress()
        state, values = self.checkpoints.load(step)
        if _weights_differ(built):
            weights = {
                name.removeprefix("trained."): tensor for name, tensor in state.items() if name.startswith("trained.")
            }
            load(built.model, weights, strict=False)
        else:
            saved = type(built.model).from_pretrained(self.checkpoints.path(step), use_safetensors=True)
            load(built.model, saved.state_dict())
        for name, player in built.players.items():
            prefix = f"player.{name}."
            player.load_state_dict(
                {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            )
        tensors = {
            key.removeprefix("objective."): value for key, value in state.items() if key.startswith("objective.")
        }
        built.objective.load_state_dict({**values["objective"], **tensors})
        return Progress(**values["progress"])

    def finish(self, built: Built, progress: Progress) -> None:
        """Put the weights to keep at the root, and note that the run is finished; all processes come here together."""
        best = self.checkpoints.path(int(progress.best["step"])) if progress.best is not None else None
        with _kept(built) as weights:
            if not built.accelerator.is_main_process:
                return
            if best is not None and best.exists():
                state = shutil.ignore_patterns(STATE_TENSORS, STATE_VALUES)
                shutil.copytree(best, self.path, ignore=state, dirs_exist_ok=True)
            else:
                self.export(built, self.path, weights)
        note = {**vars(progress), "seconds": round(progress.seconds, 1)}
        write_atomically(self.checkpoints.folder / FINISHED, json.dumps(note))


def _weights_differ(built: Built) -> bool:
    """Whether the exported weights are not the trained ones: averages, or adapters without their base."""
    return built.adapters is not None or bool(_averages(built))


def _averages(built: Built) -> list[MovingAverage]:
    return [player.average for player in built.players.values() if player.average is not None]


@contextmanager
def averaged(built: Built) -> Iterator[None]:
    """Averages in the place of the weights, where there are averages: what is scored and kept."""
    averages = _averages(built)
    for average in averages:
        average.swap()
    try:
        yield
    finally:
        for average in averages:
            average.swap()


@contextmanager
def _kept(built: Built) -> Iterator[dict[str, Tensor] | None]:
    """As `averaged`; yields, on the main process, the weights to write, where they are in pieces."""
    with averaged(built):
        yield gathered(_saved(built), built.accelerator.is_main_process)


def _saved(built: Built) -> Any:
    """What is exported: adapters or the model."""
    return built.model if built.adapters is None else built.adapters


def _trained(model: torch.nn.Module) -> dict[str, Tensor]:
    """Trained parameters and all buffers by name."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return parameters | dict(model.named_buffers())


def _differences(old: dict[str, Any], new: dict[str, Any], where: str = "") -> list[str]:
    """Keys whose values differ, as `key: old -> new`."""
    found: list[str] = []
    for key in {**old, **new}:
        name = f"{where}{key}"
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{name}.")
        elif before != after:
            found.append(f"{name}: {before} -> {after}")
    return found
