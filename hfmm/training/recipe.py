"""A run's settings: one frozen `Recipe` from YAML and the command line, with unknown keys and wrong types refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from hfmm.data.augmentation import Augmentation
from hfmm.errors import UsageError, unknown
from hfmm.training.learning import OPTIMIZERS, PRECISIONS, SCHEDULES, PlayerSection
from hfmm.training.typed import number, section


@dataclass(frozen=True)
class DataSection:
    """What goes in. `options` go to the source (`size`, `objects`, ...), `columns` map its columns.

    `remember` keeps on disk what a frozen picture tower makes of each picture (in XDG_CACHE_HOME), for later visits.
    Where a loss compares pictures, a batch is of `batch_size` labels with `per_label` examples of each. Training sees
    no examples of the classes `unseen`, by name, and where there are such, none without a class.
    """

    name: str = "scenes"
    split: str = "train"
    options: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    captions: str = "random"
    unseen: list[str] = field(default_factory=list)
    augmentation: Augmentation = field(default_factory=Augmentation)
    batch_size: int = 32
    per_label: int = 4
    workers: int = 1
    remember: bool = False
    on_bad_example: str = "error"


@dataclass(frozen=True)
class LoraSection:
    """Low-rank adapters in the parts `targets`, by name or as regular expressions over layer names; none, no adapters.

    The parts `also_train` are trained whole and saved with the adapters. `quantization` stores the adapted layers of
    the base as `nf4` or `int8` (bitsandbytes).
    """

    targets: list[str] = field(default_factory=list)
    rank: int = 8
    alpha: float = 16
    dropout: float = 0.0
    also_train: list[str] = field(default_factory=list)
    quantization: str | None = None


@dataclass(frozen=True)
class EvaluationSection:
    """Scores while training, every so many steps (0: only at the end), on `size` examples of `split`.

    Samples are looked at by `features`, a run of a classifier, or an architecture to train first, to `features_top_1`.
    """

    every: int = 0
    split: str = "validation"
    size: int = 200
    metrics: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    generation: dict[str, Any] = field(default_factory=dict)
    features: str | None = None
    features_top_1: float = 0.0
    early_stopping: str | None = None
    patience: int = 10


@dataclass(frozen=True)
class CheckpointsSection:
    """Every so many steps (0: only at the end); `keep` of the newest stay, and the best."""

    every: int = 500
    keep: int = 2


@dataclass(frozen=True)
class LoggingSection:
    """`metrics.jsonl` is always written; `trackers` are trackio, tensorboard, wandb, ... by name."""

    every: int = 20
    trackers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run. `name` is its file's, `task` one of the architecture's, by default the first."""

    architecture: str
    name: str = "default"
    preset: str = "tiny"
    task: str | None = None
    model: dict[str, Any] = field(default_factory=dict)
    processor: dict[str, Any] = field(default_factory=dict)
    data: DataSection = field(default_factory=DataSection)
    objective: dict[str, Any] = field(default_factory=dict)
    players: dict[str, PlayerSection] = field(default_factory=dict)
    lora: LoraSection = field(default_factory=LoraSection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    checkpoints: CheckpointsSection = field(default_factory=CheckpointsSection)
    logging: LoggingSection = field(default_factory=LoggingSection)
    seed: int = 0
    max_steps: int = 1000
    accumulation: int = 1
    parts: dict[str, str] = field(default_factory=dict)  # of a new model: `vision`, `text`; runs, repositories or names
    first: str | None = None  # a recipe to train before, in the folder `first` of the run, unless `init_from` is given
    init_from: str | None = None
    frozen: dict[str, str] = field(default_factory=dict)

    @property
    def scored_options(self) -> dict[str, Any]:
        """Options of the data that the model is scored on: those that it learns from, but for the evaluation's own."""
        return {**self.data.options, **self.evaluation.options}

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, for YAML."""
        return asdict(self)

    def to_yaml(self) -> str:
        """As it is written to `recipe.yaml`."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain dictionaries.

    Raises:
        UsageError: An unknown key, a value of the wrong type, or a value out of range.
    """
    recipe = section(Recipe, values, "")
    if not recipe.players:
        recipe = replace(recipe, players={"model": PlayerSection()})
    _validate(recipe)
    return recipe


def _validate(recipe: Recipe) -> None:
    at_least_one = {
        "max_steps": recipe.max_steps, "accumulation": recipe.accumulation, "data.batch_size": recipe.data.batch_size,
        "data.per_label": recipe.data.per_label,
        "checkpoints.keep": recipe.checkpoints.keep, "logging.every": recipe.logging.every,
    }  # fmt: skip
    for name, value in at_least_one.items():
        if value < 1:
            raise UsageError(f"{name} is {value}: at least 1 is needed")
    for name, player in recipe.players.items():
        for kind, word, known in (
            ("optimizer", player.optimizer, OPTIMIZERS),
            ("schedule", player.schedule, SCHEDULES),
            ("precision", player.precision, PRECISIONS),
        ):
            if word not in known:
                raise unknown(f"{kind} of player {name}", word, known)
        if player.nesterov and not player.momentum > 0:
            raise UsageError(f"players.{name}.nesterov needs a momentum: it is {player.momentum}")
    if recipe.data.on_bad_example not in ("error", "skip"):
        raise unknown("data.on_bad_example", recipe.data.on_bad_example, ("error", "skip"))


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split `section.key=value`; the value is read as YAML.

    Raises:
        UsageError: There is no `=`, or the value is not YAML.
    """
    path, sign, value = text.partition("=")
    if not sign or not path:
        raise UsageError(f"'{text}' is not of the form section.key=value")
    try:
        return path.split("."), number(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise UsageError(f"the value of '{text}' cannot be read: quote it") from error


def override(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a nested key in plain dictionaries, in place; mappings are merged into mappings."""
    *sections, last = path
    for name in sections:
        inside = values.setdefault(name, {})
        if not isinstance(inside, dict):
            raise UsageError(f"'{'.'.join(path)}': {name} is a value, not a section")
        values = inside
    if isinstance(value, dict) and isinstance(values.get(last), dict):
        for key, item in value.items():
            override(values[last], [key], item)
    else:
        values[last] = value


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from a YAML file.

    Raises:
        UsageError: It is missing or is not a YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: key: value pairs are expected")
    return values


def shipped(name: str) -> dict[str, Path]:
    """The recipes shipped for an architecture, by name."""
    folder = Path(str(files("hfmm"))) / "recipes" / name
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def resolve(architecture: str, recipe: str = "default", config: str | Path | None = None) -> Recipe:
    """The recipe of a command: a shipped name or a path, under `--config`.

    Raises:
        UsageError: An unknown recipe, key or value.
    """
    known = shipped(architecture)
    path = known.get(recipe, Path(recipe))
    if path.suffix not in (".yaml", ".yml"):
        raise unknown(f"recipe of {architecture}", recipe, known)
    values = read_yaml(path)
    if values.get("architecture", architecture) != architecture:
        raise UsageError(f"{path} is a recipe of {values['architecture']}, not of {architecture}")
    values |= {"architecture": architecture, "name": path.stem}
    if config is not None:
        for key, value in read_yaml(Path(config)).items():
            override(values, [key], value)
    return from_dict(values)
