"""The batches of a run, from any step on."""

import signal
from typing import Any

from torch.utils.data import DataLoader

from hfmm.data.keyed import KeyedExamples, StepSampler
from hfmm.factory import picture_size
from hfmm.training.build import Built


def loader(built: Built, first_step: int) -> DataLoader[Any]:
    """Batches of this process from a step on, a pure function of the seed."""
    recipe, accelerator = built.recipe, built.accelerator
    collator, examples = built.collator, built.examples.sized(*picture_size(built.processor))
    keyed = KeyedExamples(examples, collator.draw, recipe.seed, recipe.data.on_bad_example)
    sampler = StepSampler(
        len(built.examples),
        recipe.data.batch_size,
        recipe.seed,
        start_step=first_step,
        num_steps=recipe.max_steps - first_step,
        num_processes=accelerator.num_processes,
        process_index=accelerator.process_index,
        accumulation=recipe.accumulation,
    )
    return DataLoader(
        keyed,
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=recipe.data.workers,
        worker_init_fn=_ignore_signals if recipe.data.workers else None,
        prefetch_factor=4 if recipe.data.workers else None,
    )


def _ignore_signals(worker: int) -> None:
    """Let the main process decide when a run stops."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
