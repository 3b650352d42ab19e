"""Kills a training run with SIGKILL at random moments, continues it, and compares its final weights bit for bit.

    python scripts/soak/sigkill.py [--trials 20] [--seed 0] [--json F]

Every trial starts a run, kills it after a random time, gives the same command again until the run is finished, killing
it with falling probability, and compares the sha256 of the weights with those of a run that was never disturbed.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [
    "train", "show_attend_tell", "--max-steps", "24", "--batch-size", "4", "--save-every", "2", "--quiet",
    "evaluation.size=4", "logging.every=1", "data.workers=1", "players.model.ema=0.9",
]  # fmt: skip


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start or continue the run."""
    return subprocess.Popen(
        [sys.executable, "-m", "hfmm", *COMMAND, "--output-dir", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(folder: Path) -> float:
    """Run to the end undisturbed; return the seconds."""
    started = time.perf_counter()
    process = start(folder)
    _, talk = process.communicate()
    if process.returncode:
        sys.exit(f"the run failed with {process.returncode}: {talk.decode()[-500:]}")
    return time.perf_counter() - started


def fingerprint(folder: Path) -> str:
    """sha256 of the weights."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def trial(folder: Path, seconds: float, chance: random.Random) -> int:
    """One disturbed run; returns how often it was killed."""
    kills = 0
    while chance.random() < 0.8 / (kills + 1) or not kills:
        process = start(folder)
        try:
            # nothing is at stake while packages are imported: most kills fall into the steps, saves and the end
            process.wait(timeout=seconds * chance.uniform(0.55, 1.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    finish(folder)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    equal = kills = 0
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole"
        seconds = finish(whole)
        expected = fingerprint(whole)
        for number in range(given.trials):
            folder = Path(temporary) / f"trial-{number}"
            kills += trial(folder, seconds, chance)
            equal += fingerprint(folder) == expected
            print(f"trial {number + 1}: {equal} of {number + 1} bit-identical, {kills} kills", flush=True)
            shutil.rmtree(folder)
    if given.json:
        given.json.write_text(json.dumps({"trials": given.trials, "kills": kills, "bit_identical": equal}))
    sys.exit(equal != given.trials)


if __name__ == "__main__":
    main()
