"""`hfmm reproduce`: train, score, card and page in one command, over several seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfmm import data as sources
from hfmm import evaluation
from hfmm.catalogue import Row
from hfmm.errors import UsageError
from hfmm.explanation.page import write_page
from hfmm.factory import ready_row
from hfmm.files import write_atomically
from hfmm.hub import cards
from hfmm.reproduction import captioning, pictures
from hfmm.results import by_command, of_training, read_results, write_results
from hfmm.training.flags import default_directory, recipe_of, usual_recipe
from hfmm.training.journal import talk
from hfmm.training.recipe import Recipe
from hfmm.training.run import train

SPLITS = {"scenes": ("test", "test_heldout")}  # of built-in data; ("test",) of all others
GENERATION: Mapping[str, tuple[dict[str, Any], ...]] = {  # ways of decoding that are compared, by task
    "image-captioning": ({"num_beams": 1}, {"num_beams": 5}, {"num_beams": 20}),
}
SECTIONS = {"image-captioning": captioning.sections}  # of the page, by task; those of pictures.py for the others


def reproduce(
    name: str,
    data: str | None = None,
    seeds: int = 1,
    recipe: str | None = None,
    output_dir: str | Path | None = None,
    limit: int | None = None,
    quiet: bool = False,
    **arguments: Any,
) -> Path:
    """Train an architecture with several seeds, score each on the test data, and write card and page.

    The same call again does only what is missing.

    Args:
        name: Of the catalogue.
        data: Any data set; the recipe's own by default.
        seeds: How many: 0, 1, ...
        recipe: A shipped recipe's name or a path; the default one, or for data that are not built in the one of their
            name or the one called `real`, where there are such.
        output_dir: Holds a run a seed, their rows together in `results.json`, `README.md` and `index.html`.
        limit: Score at most so many test examples.
        quiet: Say nothing.
        arguments: Further ones of [`hfmm.train`].

    Returns:
        The directory.

    Raises:
        UsageError: An unknown name, or no seeds.
        DataError: The data cannot be read.
    """
    row = ready_row(name)
    if seeds < 1:
        raise UsageError(f"--seeds is {seeds}: at least 1 is needed")
    recipe = recipe or usual_recipe(name, data)
    plan = {key: value for key, value in arguments.items() if key not in ("overwrite", "device")}
    settings = recipe_of(name, recipe, data=data, **plan)
    folder = Path(output_dir or Path("runs/reproduced") / default_directory(name, recipe, settings).name)
    runs = []
    for seed in range(seeds):
        run = train(name, folder / f"seed-{seed}", recipe, data=data, seed=seed, quiet=quiet, **arguments)
        runs.append(run.output_dir)
        _score(run.output_dir, row, settings, limit, quiet)
    rows = [measured for run in runs for measured in read_results(run) if not of_training(measured)]
    write_results(folder, rows)
    cards.write_run_card(row, folder, folder)
    write_atomically(folder / "recipe.yaml", settings.to_yaml())
    sections = SECTIONS.get(row.tasks[0], pictures.sections)(runs[0], settings, quiet)
    page = write_page(folder, f"{row.title} on {Path(settings.data.name).name}", _lead(settings, seeds), sections)
    talk(f"open {page}", quiet)
    return folder


def _score(run: Path, row: Row, settings: Recipe, limit: int | None, quiet: bool) -> None:
    """Add the test scores that a run does not have yet."""
    name, options = settings.data.name, settings.scored_options
    there = {(measured["split"], measured["examples"], measured["how"]) for measured in read_results(run)}
    for split in SPLITS.get(name.partition(":")[0], ("test",)):
        whole = len(sources.load(name, split=split, columns=settings.data.columns or None, **options))
        count = whole if limit is None else min(limit, whole)
        for generation in GENERATION.get(row.tasks[0], ({},)):
            how = by_command("evaluate", {**options, **generation}, settings.name)
            if (split, count, how) not in there:
                talk(f"scoring {run} on {split}: {how}", quiet)
                evaluation.evaluate(run, split=split, limit=limit, generation=generation)


def _lead(settings: Recipe, seeds: int) -> str:
    many = f"{seeds} seeds, mean and sample standard deviation" if seeds > 1 else "one seed"
    return (
        f"Trained here by the recipe that stands beside this page, preset {settings.preset}; {many}. "
        "What deck and paper report was measured on other data or larger models and stands in columns of its own."
    )
