"""What the tests of the command line share."""

import pytest

from hfmm import cli


@pytest.fixture
def call(capsys, monkeypatch):
    """Run a command line; returns its exit code, stdout and stderr."""
    monkeypatch.delenv("HFMM_DEBUG", raising=False)

    def run(*words):
        code = cli.main(words)
        return (code, *capsys.readouterr())

    return run
