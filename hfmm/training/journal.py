"""What a run says while it goes: metrics.jsonl, trackers, a progress bar on a terminal or plain lines elsewhere."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from hfmm.files import write_atomically

METRICS = "metrics.jsonl"
SECONDS_BETWEEN_LINES = 10.0


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The objects of `metrics.jsonl`; a line that a kill cut short is left out."""
    path = run / METRICS
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def rewind(run: Path, step: int) -> None:
    """Drop what was logged after a step, before continuing from it."""
    rows = [json.dumps(row) for row in read_metrics(run) if row["step"] <= step]
    write_atomically(run / METRICS, "".join(row + "\n" for row in rows))


def talk(text: str, quiet: bool = False) -> None:
    """Say something to a person; stdout is for data."""
    if not quiet:
        tqdm.write(text, file=sys.stderr)


class Journal:
    """Writes and shows the progress of a run. Only the main process speaks.

    Args:
        run: The run directory.
        first_step: Steps taken before this start.
        max_steps: Steps of the run.
        quiet: Show nothing.
        is_main: Whether this process speaks at all.
        track: Hands values to accelerate's trackers.
    """

    def __init__(self, run: Path, first_step: int, max_steps: int, quiet: bool, is_main: bool, track: Any) -> None:
        self.is_main = is_main
        self.quiet = quiet or not is_main
        self.max_steps = max_steps
        self.track = track
        self.file = (run / METRICS).open("a", encoding="utf-8") if is_main else None
        on_terminal = sys.stderr.isatty() and not self.quiet
        self.bar = tqdm(total=max_steps, initial=first_step, unit="step", dynamic_ncols=True) if on_terminal else None
        self.last_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.file is not None:
            self.file.close()

    def step(self, step: int) -> None:
        """Count a step."""
        if self.bar is not None:
            self.bar.update(step - self.bar.n)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write one logged step, and show it."""
        if self.file is None:
            return
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        self.track(dict(values), step)
        shown = {name: value for name, value in values.items() if name not in ("epoch", "learning_rate")}
        if self.bar is not None:
            self.bar.set_postfix({name: f"{value:.4g}" for name, value in list(shown.items())[:4]})
        elif not self.quiet and (time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES or step == self.max_steps):
            self.last_line = time.monotonic()
            talk(f"step {step}/{self.max_steps}  " + "  ".join(f"{name} {value:.4g}" for name, value in shown.items()))
