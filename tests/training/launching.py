"""Scripts in processes of their own, several that work together among them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


def launch(script, *words, processes=2, **environment):
    """Run a script of this repository to its good end, on two processes by `torchrun` unless told otherwise."""
    start = [sys.executable] if processes == 1 else [sys.executable, *TORCHRUN, str(processes)]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [*start, str(ROOT / script), *map(str, words)]
    done = subprocess.run(command, env=surroundings, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
