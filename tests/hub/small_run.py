"""A run directory that the tests of publishing share."""

import json

import hfmm
from tests.testing import seeded

ROWS = [
    {
        "data": "scenes", "split": split, "examples": 100, "metrics": {"bleu_1": 0.5, "cider": 1.25}, "deck": {},
        "paper": {}, "how": "hfmm evaluate", "architecture": "show_attend_tell", "preset": "tiny", "seed": 0,
        "steps": 5, "hardware": "a processor", "date": "2026-11-21",
    }
    for split in ("validation", "test")
]  # fmt: skip
WEIGHTS = "model.safetensors"


def make_run(folder):
    """A run that was not trained for long, that is, not at all."""
    with seeded():
        hfmm.create_model("show_attend_tell").save_pretrained(folder)
    hfmm.create_processor("show_attend_tell").save_pretrained(folder)
    (folder / "results.json").write_text(json.dumps(ROWS))
    (folder / "recipe.yaml").write_text("architecture: show_attend_tell\npreset: tiny\n")
    (folder / "README.md").write_text("what the run says")
    (folder / "loss.png").write_bytes(b"a picture")
    (folder / "checkpoints").mkdir()
    return folder


def contents(folder):
    """Every file below a folder, by its relative name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
