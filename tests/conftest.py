"""What every test runs under: no network but loopback, no Hub, one thread, files only in temporary folders."""

import os
import socket

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from accelerate.state import AcceleratorState

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
connect = socket.socket.connect


def _connect_on_loopback(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
        raise OSError(f"a test tried to reach {address[0]}")
    return connect(self, address)


socket.socket.connect = _connect_on_loopback
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_start():
    """No test depends on what ran before it: the same random numbers, matrix precision and caches of none."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    AcceleratorState._reset_state()  # accelerate remembers the precision of an earlier run of this process


@pytest.fixture
def run_hfmm(tmp_path):
    """Run a command as a user does; returns the finished process."""
    import subprocess
    import sys
    from pathlib import Path

    root = str(Path(__file__).resolve().parents[1])  # also where hfmm is not installed

    def run(*words, cwd=tmp_path, **environment):
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root, **environment}
        command = [sys.executable, "-m", "hfmm", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=variables, timeout=300)

    return run
