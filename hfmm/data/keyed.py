"""Examples in an order, and with random choices, that are pure functions of (seed, epoch, index).

So a run that is stopped anywhere and continued, or spread over processes, sees the same examples with the same choices.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from random import Random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from hfmm.data.examples import Example, Examples
from hfmm.errors import DataError, unknown

Key = tuple[int, int]  # (epoch, index)
Draw = Callable[[Example, Random], Any]

_ATTEMPTS = 100  # replacements tried for one example before the data are called unreadable
_NAMED = 5  # bad examples that a report names


def keyed_random(*key: int) -> Random:
    """A random generator that depends on the key alone, the same on every machine."""
    digest = blake2b(":".join(map(str, key)).encode(), digest_size=16).digest()
    return Random(int.from_bytes(digest, "big"))


class KeyedExamples(Dataset):
    """Examples by (epoch, index), each with its random choices made.

    Attributes:
        bad: (examples,) bool in shared memory: rows that could not be read, by this process or its loading workers.
    """

    def __init__(self, examples: Examples, draw: Draw, seed: int, on_bad_example: str = "error") -> None:
        """Prepare reading.

        Args:
            examples: What is read; `Examples.sized` makes large JPEGs fast to decode.
            draw: Makes the random choices of an example (its caption, a crop), from the generator it is given alone.
            seed: Of the run.
            on_bad_example: `error` raises; `skip` puts another example in the place of one that cannot be read.
        """
        if on_bad_example not in ("error", "skip"):
            raise unknown("on_bad_example", on_bad_example, ("error", "skip"))
        self.examples = examples
        self.draw = draw
        self.seed = seed
        self.on_bad_example = on_bad_example
        self.bad = torch.zeros(len(examples), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: Key) -> Any:
        """Read and draw one example.

        Raises:
            DataError: It cannot be read and `on_bad_example` is `error`, or no replacement can be read either.
        """
        epoch, index = key
        try:
            return self.draw(self.examples[index], keyed_random(self.seed, epoch, index))
        except DataError as error:
            if self.on_bad_example == "error":
                raise
            self.bad[index] = True
            return self._replacement(epoch, index, error)

    def _replacement(self, epoch: int, index: int, first: DataError) -> Any:
        """Another example, a pure function of the key."""
        for attempt in range(1, _ATTEMPTS + 1):
            random = keyed_random(self.seed, epoch, index, attempt)
            other = random.randrange(len(self.examples))
            try:
                return self.draw(self.examples[other], random)
            except DataError:
                self.bad[other] = True
        raise DataError(f"{first} (and none of {_ATTEMPTS} others in its place could be read)") from first

    def report(self) -> str | None:
        """One line on the examples that had to be replaced so far, None if there were none."""
        rows = self.bad.nonzero().flatten().tolist()
        if not rows:
            return None
        named = ", ".join(self.examples.where(row) for row in rows[:_NAMED]) + (", ..." if len(rows) > _NAMED else "")
        return f"{len(rows)} of {len(self)} examples could not be read and others took their place: {named}"


class StepSampler(Sampler[list[Key]]):
    """For every micro-batch of this process, the keys of its examples: a pure function of (seed, step).

    Epochs, each in a random order of its own, are chained into one endless list without dropping anything; step s takes
    the next `batch_size * num_processes * accumulation` of it. Micro-batch m of process p is the
    (m * num_processes + p)-th piece of these, so 1 x 8, 2 x 4 and 1 x 4 with accumulation 2 see the same examples in
    every step.
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        num_steps: int | None = None,
        num_processes: int = 1,
        process_index: int = 0,
        accumulation: int = 1,
    ) -> None:
        """Set the sizes.

        Args:
            num_examples: In the data set.
            batch_size: Examples in a micro-batch of one process.
            seed: Of the run.
            start_step: The first optimizer step to give.
            num_steps: How many to give from there; endless if None.
            num_processes: That train together.
            process_index: Which of them this is.
            accumulation: Micro-batches a step.
        """
        if min(num_examples, batch_size, num_processes, accumulation) < 1 or not 0 <= process_index < num_processes:
            raise ValueError(
                f"cannot sample {num_examples} examples, {batch_size} a batch, for process {process_index} of "
                f"{num_processes} with accumulation {accumulation}"
            )
        self.num_examples, self.batch_size, self.seed = num_examples, batch_size, seed
        self.start_step, self.num_steps = start_step, num_steps
        self.num_processes, self.process_index, self.accumulation = num_processes, process_index, accumulation
        self._orders: dict[int, np.ndarray] = {}

    @property
    def global_batch(self) -> int:
        """Examples a step, over all processes."""
        return self.batch_size * self.num_processes * self.accumulation

    def __len__(self) -> int:
        """Number of micro-batches that will be given."""
        if self.num_steps is None:
            raise TypeError("an endless sampler has no length")
        return self.num_steps * self.accumulation

    def epochs_at(self, step: int) -> float:
        """Passes over the data completed before a step."""
        return step * self.global_batch / self.num_examples

    def __iter__(self) -> Iterator[list[Key]]:
        step = self.start_step
        while self.num_steps is None or step < self.start_step + self.num_steps:
            for micro in range(self.accumulation):
                piece = micro * self.num_processes + self.process_index
                first = step * self.global_batch + piece * self.batch_size
                yield [self._key(position) for position in range(first, first + self.batch_size)]
            step += 1

    def _key(self, position: int) -> Key:
        """The (epoch, index) at a position of the endless list."""
        epoch, place = divmod(position, self.num_examples)
        if epoch not in self._orders:
            order = np.random.default_rng((self.seed % 2**64, epoch)).permutation(self.num_examples)  # examples
            self._orders = {old: kept for old, kept in self._orders.items() if old == epoch - 1} | {epoch: order}
        return epoch, int(self._orders[epoch][place])
