"""`train`: from a name to a finished run directory, continuing where an earlier start stopped."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from hfmm import evaluation
from hfmm.device import hardware
from hfmm.errors import InterruptedRun, ResourceError
from hfmm.factory import ready_row
from hfmm.loading import Loaded, load
from hfmm.results import add_result, by_command
from hfmm.training import features, pictures
from hfmm.training.batches import loader
from hfmm.training.build import Built, build, make_accelerator, task_of
from hfmm.training.flags import default_directory, recipe_of
from hfmm.training.journal import Journal, rewind, talk
from hfmm.training.objectives.base import Fit
from hfmm.training.optim import set_training
from hfmm.training.parts import parts_table
from hfmm.training.pieces import whole
from hfmm.training.start import begun
from hfmm.training.state import Progress, RunDirectory, averaged


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        output_dir: Its directory.
        metrics: Scores of its last evaluation, and the last logged loss.
    """

    output_dir: Path
    metrics: Mapping[str, float]

    def load(self) -> Loaded:
        """Model and processor."""
        return load(self.output_dir)


def train(
    name: str,
    output_dir: str | Path | None = None,
    recipe: str = "default",
    config: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    quiet: bool = False,
    overrides: Mapping[str, Any] | None = None,
    **flags: Any,
) -> Run:
    """Train an architecture by a recipe; the same call again continues where it stopped.

    Args:
        name: An architecture of the catalogue.
        output_dir: The run directory; `runs/<name>` with the recipe and data in its name by default.
        recipe: A shipped recipe's name or a path.
        config: A YAML file with keys of the recipe.
        overwrite: Start again where the directory holds a run.
        device: auto, cpu or cuda.
        quiet: Say nothing.
        overrides: `section.key` to value.
        flags: data, preset, max_steps, batch_size, learning_rate, seed, precision, save_every, keep, init_from, frozen,
            early_stopping, gradient_accumulation, columns, on_bad_example, lora_on.

    Raises:
        UsageError: An unknown name or key, or a directory with another run.
        DataError: The data cannot be read.
        DivergedError: The loss is not finite.
        InterruptedRun: A signal came; a checkpoint was written.
    """
    ready_row(name)
    settings = recipe_of(name, recipe, config, overrides, **flags)
    directory = RunDirectory(Path(output_dir or default_directory(name, recipe, settings)), settings)
    accelerator = make_accelerator(settings, device, directory.path)
    quiet = quiet or not accelerator.is_main_process
    if accelerator.is_main_process:
        directory.open(overwrite)
    accelerator.wait_for_everyone()
    finished = directory.finished()
    if finished is not None:
        talk(f"{directory.path} is finished ({finished['step']} steps, {finished['seconds']:.0f} s)", quiet)
        return Run(directory.path, finished["scores"])
    if features.is_trained_beside(settings):
        features.train_beside(settings, directory.path, partial(train, device=device, quiet=quiet), accelerator)
        accelerator = make_accelerator(settings, device, directory.path)
    if (settings.first or settings.parts) and settings.init_from is None:
        settings = begun(settings, directory.path, partial(train, device=device, quiet=quiet))
        accelerator = make_accelerator(settings, device, directory.path)
    built = build(settings, accelerator, features.network_of(settings, directory.path, str(accelerator.device)))
    progress = directory.restore(built)
    if progress.step:
        talk(f"continuing {directory.path} after step {progress.step}", quiet)
    preset = "" if built.row.stands_in else f" ({settings.preset})"
    talk(f"{built.row.title}{preset}, parameters by part:\n{parts_table(built.model)}", quiet)
    with _stopping_signals() as stop:
        try:
            if isinstance(built.objective, Fit):
                _fit(built, built.objective, directory, progress, quiet)
            else:
                _advance(built, directory, progress, stop, quiet)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise ResourceError(
                f"out of memory at batch size {settings.data.batch_size}: give a smaller --batch-size and "
                "--gradient-accumulation for the same step"
            ) from error
    _finish(built, directory, progress, quiet)
    talk(f"finished {directory.path} ({progress.seconds:.0f} s of training)", quiet)
    return Run(directory.path, progress.scores)


def _advance(built: Built, directory: RunDirectory, progress: Progress, stop: list[int], quiet: bool) -> None:
    """Take the remaining steps: log, evaluate, save, stop."""
    recipe, accelerator = built.recipe, built.accelerator
    if accelerator.is_main_process:
        directory.write_environment(accelerator)
        rewind(directory.path, progress.step)
    accelerator.init_trackers("hfmm", {"architecture": built.row.name, "seed": recipe.seed})
    set_training(built.model)
    track = accelerator.log if recipe.logging.trackers else lambda values, step: None
    every = recipe.checkpoints.every
    with Journal(directory.path, progress.step, recipe.max_steps, quiet, accelerator.is_main_process, track) as journal:
        batches = loader(built, progress.step)
        sampler: Any = batches.batch_sampler
        for step, logs in built.loop.run(batches, progress.step):
            progress.step = step
            progress.seconds += logs.pop("seconds")
            journal.step(step)
            last = step == recipe.max_steps
            if step % recipe.logging.every == 0 or last:
                journal.log(step, {"epoch": round(sampler.epochs_at(step), 4), **logs})
            improved = _evaluate(built, directory, progress, journal, last)
            enough = recipe.evaluation.early_stopping is not None and progress.stale >= recipe.evaluation.patience
            interrupted = _any_process(built, bool(stop))
            if (every and step % every == 0) or improved or last or enough or interrupted:
                directory.save(built, progress)
                accelerator.wait_for_everyone()
            if enough:
                talk(
                    f"stopped early: {recipe.evaluation.early_stopping} has not risen for {progress.stale} evaluations",
                    quiet,
                )
                break
            if interrupted and not last:
                raise InterruptedRun(f"interrupted after step {step}: the same command continues {directory.path}")
    replaced = batches.dataset.report()  # type: ignore[attr-defined]
    if replaced:
        talk(replaced, quiet)


def _fit(built: Built, objective: Fit, directory: RunDirectory, progress: Progress, quiet: bool) -> None:
    """Learn from the examples in one pass, which counts as all steps; evaluate and save."""
    if progress.step:  # saved already
        return
    recipe, accelerator = built.recipe, built.accelerator
    if accelerator.is_main_process:
        directory.write_environment(accelerator)
    accelerator.init_trackers("hfmm", {"architecture": built.row.name, "seed": recipe.seed})
    track = accelerator.log if recipe.logging.trackers else lambda values, step: None
    share = built.examples.shard(accelerator.num_processes, accelerator.process_index)
    with Journal(directory.path, 0, recipe.max_steps, quiet, accelerator.is_main_process, track) as journal:
        started = time.perf_counter()
        logs = objective.fit(share, built.processor, accelerator.reduce)
        progress.step, progress.seconds = recipe.max_steps, time.perf_counter() - started
        journal.log(progress.step, {"epoch": 1.0, **logs})
        _evaluate(built, directory, progress, journal, last=True)
        directory.save(built, progress)
        accelerator.wait_for_everyone()


def _any_process(built: Built, flag: bool) -> bool:
    """Whether any process was told to stop: all must stop at the same step."""
    if built.accelerator.num_processes == 1:
        return flag
    total = built.accelerator.reduce(torch.tensor(float(flag), device=built.accelerator.device), "sum")
    return bool(total > 0)


def _evaluate(built: Built, directory: RunDirectory, progress: Progress, journal: Journal, last: bool) -> bool:
    """Score the unwrapped model when it is due; return whether it is the best so far."""
    section = built.recipe.evaluation
    if not (last or (section.every and progress.step % section.every == 0)):
        return False
    with averaged(built), whole(built.model):
        built.objective.before_scoring(built.examples, built.processor)
        outcome = _score(built)
    set_training(built.model)
    progress.scores = outcome.scores
    journal.log(progress.step, {f"{section.split}/{name}": value for name, value in outcome.scores.items()})
    if built.accelerator.is_main_process:
        pictures.samples(directory.path, progress.step, outcome, built.held_out)
    if section.early_stopping is None:
        return False
    value = evaluation.chosen(outcome.scores, section.early_stopping)
    if progress.best is None or value > progress.best["value"]:
        progress.best, progress.stale = {"step": progress.step, "value": value, "scores": outcome.scores}, 0
        return True
    progress.stale += 1
    return False


def _finish(built: Built, directory: RunDirectory, progress: Progress, quiet: bool) -> None:
    """Put scores, weights and the picture of the losses in their places, and close the trackers."""
    accelerator = built.accelerator
    if accelerator.is_main_process:
        _note_scores(built, directory, progress)
    directory.finish(built, progress)
    if accelerator.is_main_process:
        pictures.loss_curve(directory.path, quiet)
    accelerator.wait_for_everyone()
    for tracker in accelerator.trackers:
        tracker.finish()


def _note_scores(built: Built, directory: RunDirectory, progress: Progress) -> None:
    """Put the scores of the kept weights into `results.json`."""
    recipe = built.recipe
    row = {
        "data": Path(recipe.data.name).name,
        "split": recipe.evaluation.split,
        "examples": len(built.held_out),
        "metrics": progress.best["scores"] if progress.best else progress.scores,
        "how": by_command("train", {}, recipe.name),
        "architecture": built.row.name,
        "preset": None if built.row.stands_in else recipe.preset,
        "seed": recipe.seed,
        "steps": progress.best["step"] if progress.best else progress.step,
        "hardware": hardware(),
    }
    add_result(directory.path, row)


def _score(built: Built) -> evaluation.Outcome:
    """Score the unwrapped model, its work shared between processes."""
    section, accelerator = built.recipe.evaluation, built.accelerator
    shared = (accelerator.num_processes, accelerator.process_index)
    asked = evaluation.Asked(section.metrics, section.generation, shared, (), built.network, built.examples)
    return evaluation.score_model(task_of(built.recipe, built.row), built.model, built.processor, built.held_out, asked)


@contextmanager
def _stopping_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one stops at once."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield seen
        return

    def note(number: int, frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
