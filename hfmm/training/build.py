"""From a recipe to its parts: examples, processor, model, players, objective."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn
from transformers import PreTrainedModel

from hfmm import data, factory
from hfmm.catalogue import Row
from hfmm.data.collate import Collator
from hfmm.data.columns import require
from hfmm.data.examples import Examples
from hfmm.data.identities import Identities
from hfmm.data.messages import spoken
from hfmm.data.questions import Answered
from hfmm.data.splits import without_classes
from hfmm.data.tasks import collator_of, material_of
from hfmm.device import multiplies_bf16, set_attention, set_matrix_precision, set_threads
from hfmm.errors import SplitError, UsageError, unknown
from hfmm.loading import Loaded, load
from hfmm.training import lora, objectives, processes, towers
from hfmm.training.joined import follow, join, own_template
from hfmm.training.loop import Loop
from hfmm.training.objectives.base import Objective
from hfmm.training.optim import Player
from hfmm.training.recipe import Recipe
from hfmm.training.sizes import corpus_of, sizes_of
from hfmm.training.start import check_same, take_part


@dataclass
class Built:
    """All that a run needs.

    Attributes:
        recipe: What it was built from.
        row: The architecture's row of the catalogue.
        examples: Training examples.
        held_out: What is scored while training.
        processor: Built from them, or the starting run's.
        model: The root model.
        adapters: The `PeftModel` around it, where it has adapters: they are what is saved.
        collator: Makes batches.
        loop: Moves the players.
        network: The classifier that looks at a generator's samples.
    """

    recipe: Recipe
    row: Row
    examples: Examples
    held_out: Examples
    processor: Any
    model: PreTrainedModel
    adapters: Any | None
    collator: Collator
    loop: Loop
    network: Loaded | None

    @property
    def accelerator(self) -> Accelerator:
        """Of the loop."""
        return self.loop.accelerator

    @property
    def players(self) -> dict[str, Player]:
        """Of the loop."""
        return self.loop.players

    @property
    def objective(self) -> Objective:
        """Of the loop."""
        return self.loop.objective


def make_accelerator(recipe: Recipe, device: str, output_dir: Path) -> Accelerator:
    """Devices, processes and precision.

    Raises:
        UsageError: Players ask for different precisions, the device is not there, or the launcher asks for what is not.
    """
    precisions = {player.precision for player in recipe.players.values()}
    asked = precisions - {"auto"}
    if len(asked) > 1:
        raise UsageError("players of one run share one precision: give --precision")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no GPU is visible here; --device cpu runs without one")
    _check_trackers(recipe.logging.trackers)
    processes.is_asked()  # before accelerate sees it
    processes.leave_at_exit()
    on_gpu = device != "cpu" and torch.cuda.is_available()
    in_bf16 = asked == {"bf16"} or (precisions == {"auto"} and multiplies_bf16(on_gpu))
    AcceleratorState._reset_state()  # accelerate remembers the precision of an earlier run of this process
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if in_bf16 else "no",
        log_with=list(recipe.logging.trackers) or None,
        project_dir=str(output_dir) if recipe.logging.trackers else None,
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def _check_trackers(names: list[str]) -> None:
    """Refuse a tracker that is unknown or not installed: accelerate would go on without it.

    Raises:
        UsageError: There is such a name.
    """
    installed = [str(kind) for kind in get_available_trackers()]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise unknown("tracker", name, LOGGER_TYPE_TO_CLASS)
        if name not in installed:
            raise UsageError(f"tracker '{name}' is not installed: pip install {name}")


def build(recipe: Recipe, accelerator: Accelerator, network: Loaded | None = None) -> Built:
    """Build every part of a run but `network`; random weights are a pure function of the seed.

    Raises:
        UsageError: The recipe contradicts itself, the architecture or the starting run.
        DataError: The data cannot be read.
    """
    row = factory.ready_row(recipe.architecture)
    kind = objectives.find(recipe.objective.get("name", "captioning"))
    lora.check(recipe.lora, recipe.init_from, kind)
    start = _start(recipe, accelerator.device)
    if start is not None and start.row.stands_in and start.row.name == row.name:
        row = start.row
    task = task_of(recipe, row)
    row = row.for_task(task)
    examples = data.load(
        recipe.data.name,
        split=recipe.data.split,
        columns=recipe.data.columns or None,
        on_bad_example=recipe.data.on_bad_example,
        **recipe.data.options,
    )
    material = material_of(task)
    examples = spoken(examples) if material.speaks else examples
    require(examples, material.columns, task)
    if recipe.data.unseen:
        examples = without_classes(examples, recipe.data.unseen)
    if material.compares:
        examples = Identities(examples, recipe.data.per_label)
    held_out = _held_out(recipe)
    set_matrix_precision(training=True)
    set_threads(recipe.data.workers)
    torch.manual_seed(recipe.seed)
    model, processor = _model_and_processor(recipe, row, kind.head or row.auto[0][0], examples, start)
    if material.answers:
        names: Any = model.config.id2label
        examples = Answered(examples, list(names.values()))
    model = lora.quantized(model, recipe.lora, recipe.init_from, accelerator.device)
    if isinstance(model, PreTrainedModel):
        set_attention(model, accelerator.device)
    adapters = lora.adapt(model, recipe.lora, recipe.init_from)
    _place(model, recipe, accelerator)
    frozen = {part: load(run, str(accelerator.device)).model for part, run in recipe.frozen.items()}
    players = _players(recipe, model, processes.wrapper(accelerator, kind, recipe))
    settings = {key: value for key, value in recipe.objective.items() if key != "name"}
    objective = kind({name: player.wrapped for name, player in players.items()}, frozen, settings)
    objective.prepare(examples, processor)
    collator: Any = collator_of(task, processor, recipe.data.captions, recipe.data.augmentation)
    if recipe.data.remember and not row.stands_in:
        collator = towers.remember(model, collator, processor, accelerator.mixed_precision)
    loop = Loop(accelerator, objective, players, recipe.seed, recipe.max_steps, recipe.accumulation)
    return Built(recipe, row, examples, held_out, processor, model, adapters, collator, loop, network)


def task_of(recipe: Recipe, row: Row) -> str:
    """What a run learns to do.

    Raises:
        UsageError: The architecture does not do that.
    """
    if recipe.task is not None and recipe.task not in row.tasks:
        raise unknown(f"task of {row.name}", recipe.task, row.tasks)
    return recipe.task or row.tasks[0]


def _held_out(recipe: Recipe) -> Examples:
    """The first `evaluation.size` examples of the evaluation's split.

    Raises:
        SplitError: There is no such split.
    """
    section = recipe.evaluation
    columns = recipe.data.columns or None
    try:
        examples = data.load(recipe.data.name, split=section.split, columns=columns, **recipe.scored_options)
    except SplitError as error:
        parts = "data.split=train[:90%] evaluation.split=train[90%:]"
        raise SplitError(f"{error}; keep a part of training for scores: {parts}") from None
    return examples.select(range(min(section.size, len(examples))))


def _start(recipe: Recipe, device: torch.device) -> Loaded | None:
    """The run to start from, on the device already; without its weights where they are to be read quantized."""
    if recipe.init_from is None:
        return None
    return load(recipe.init_from, "meta" if recipe.lora.quantization else str(device))


def _model_and_processor(
    recipe: Recipe, row: Row, auto: str, examples: Examples, start: Loaded | None
) -> tuple[PreTrainedModel, Any]:
    """Those of the run to start from, with another head where the run has one, or new ones, which may take a part from
    that run.

    Raises:
        UsageError: The run is another model than the recipe's, and no part of it.
    """
    if start is not None and start.row.name == row.name:
        check_same(start, recipe)
        if row.stands_in:
            if "template" in recipe.processor:
                follow(start.processor, recipe)
            return start.model, start.processor
        kind = factory.module_class(row, auto)
        if material_of(row.tasks[0]).speaks:
            follow(start.processor, recipe, own_template(recipe))
        if isinstance(start.model, kind):
            return start.model, start.processor
        sizes = sizes_of(row, row.tasks[0], start.processor, examples)
        return kind.from_pretrained(start.where, **sizes), start.processor
    if recipe.parts:
        return join(recipe, row, auto, examples)
    processor = factory.create_processor(
        row.name, recipe.preset, corpus_of(recipe.data.name, examples), **recipe.processor
    )
    sizes = sizes_of(row, row.tasks[0], processor, examples)
    model = factory.create_module(row.name, recipe.preset, auto, **factory.merged(sizes, recipe.model))
    if start is not None:
        take_part(start, model)
    return model, processor


def _place(model: nn.Module, recipe: Recipe, accelerator: Accelerator) -> None:
    """Bring a model to its device, for training, its convolutions in the order of axes that the recipe wants.

    What learns does so in fp32. The frozen base of adapters stays in half precision where products are in bf16.
    """
    if recipe.lora.quantization is None:  # a quantized one is there
        model.to(accelerator.device)
    keeps_half = recipe.lora.targets and accelerator.mixed_precision == "bf16"
    for parameter in model.parameters():
        if parameter.is_floating_point() and (parameter.requires_grad or not keeps_half):
            parameter.data = parameter.data.float()
    model.train()
    for name, section in recipe.players.items():
        if section.channels_last:
            _part(model, name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _players(recipe: Recipe, model: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> dict[str, Player]:
    """The players of a model; adapters have frozen what the recipe freezes, and may be in it."""
    parts = {name: _part(model, name) for name in recipe.players}
    lora.check_players(recipe.lora, parts)
    frees: dict[str, Any] = {"freeze": []} if recipe.lora.targets else {}
    return {
        name: Player.build(name, parts[name], replace(part, **frees), wrap) for name, part in recipe.players.items()
    }


def _part(model: nn.Module, name: str) -> nn.Module:
    """A player: the whole model, or a submodule by name.

    Raises:
        UsageError: The model has no such part.
    """
    if name == "model":
        return model
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise UsageError(f"players.{name}: {type(model).__name__} has no part of that name") from error
