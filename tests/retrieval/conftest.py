"""A saved model that embeds both."""

import pytest

from hfmm import catalogue
from tests.retrieval import models


@pytest.fixture
def clip_run(tmp_path, monkeypatch):
    """A folder with a small CLIP, which the catalogue knows."""
    rows = tuple(
        row._replace(auto=(("AutoModel", "CLIPModel"),), processors=(("AutoProcessor", "CLIPProcessor"),),
                     tasks=("image-text-retrieval",), status="ready")
        if row.name == "clip" else row
        for row in catalogue.ROWS
    )  # fmt: skip
    monkeypatch.setattr(catalogue, "ROWS", rows)
    folder = tmp_path / "runs" / "clip"
    for part in models.clip():
        part.save_pretrained(folder)
    return folder
