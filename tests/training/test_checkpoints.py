"""Checkpoints: complete or absent, the best kept, nothing lost when the disk is full."""

import errno

import pytest
import torch

from hfmm.errors import DataError, ResourceError
from hfmm.files import write_atomically
from hfmm.training.checkpoints import Checkpoints, publish_folder, split_state


def save(checkpoints, step, best=None):
    return checkpoints.save(
        step,
        lambda folder: (folder / "weights").write_text(str(step)),
        {"moment": torch.full((3,), float(step))},
        {"progress": {"step": step}},
        best,
    )


def test_newest_are_kept_and_the_best(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (10, 20, 30, 40, 50):
        save(checkpoints, step, best=20)
    assert checkpoints.steps() == [20, 40, 50]
    assert checkpoints.latest() == 50


def test_state_returns(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 7)
    tensors, values = checkpoints.load(7)
    assert torch.equal(tensors["moment"], torch.full((3,), 7.0))
    assert values == {"progress": {"step": 7}}


def test_what_a_kill_leaves_is_no_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 10)
    half = checkpoints.folder / ".step-00000020.staged"
    half.mkdir()
    (half / "weights").write_text("half")
    assert checkpoints.latest() == 10
    save(checkpoints, 20)
    assert checkpoints.latest() == 20
    assert not list(checkpoints.folder.glob(".*"))


def test_full_disk_is_told_and_earlier_checkpoints_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 10)

    def fill(folder):
        (folder / "half").write_bytes(b"0" * 1000)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ResourceError, match=r"disk full: need over .* MB, have .* MB"):
        publish_folder(checkpoints.path(20), fill)
    assert checkpoints.steps() == [10]
    assert not list(checkpoints.folder.glob(".*"))


def test_damaged_state_names_the_folder(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    path = save(checkpoints, 10)
    (path / "training_state.safetensors").write_bytes(b"\x08")
    with pytest.raises(DataError, match="step-00000010"):
        checkpoints.load(10)


def test_small_files_are_replaced_whole(tmp_path):
    path = tmp_path / "note.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_and_values_are_parted():
    tensor = torch.ones(2)
    assert split_state({"queue": tensor, "baseline": 0.5}) == ({"queue": tensor}, {"baseline": 0.5})
