"""What tests of the data layer share."""

import socket

import datasets
import pytest


@pytest.fixture
def own_cache_and_no_network(tmp_path, monkeypatch):
    """Arrow copies go to the test's folder; a connection fails."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "arrow"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
