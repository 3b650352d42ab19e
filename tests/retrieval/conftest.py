"""A model that embeds both, saved and not, and what it embeds."""

import pytest

import hfmm
from tests.retrieval import models


@pytest.fixture(scope="module")
def model():
    return models.loaded(*models.clip())


@pytest.fixture(scope="module")
def scenes():
    return hfmm.load_data(**models.DATA).select(range(models.COUNT))


@pytest.fixture
def clip_run(tmp_path):
    """A folder with a small CLIP."""
    folder = tmp_path / "runs" / "clip"
    for part in models.clip():
        part.save_pretrained(folder)
    return folder
