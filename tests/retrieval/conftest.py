"""A saved model that embeds both."""

import pytest

from tests.retrieval import models


@pytest.fixture
def clip_run(tmp_path):
    """A folder with a small CLIP."""
    folder = tmp_path / "runs" / "clip"
    for part in models.clip():
        part.save_pretrained(folder)
    return folder
