"""The views of clips as data sets: the same bytes anywhere, fields, shards, resuming, mistakes."""

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hfmm
from hfmm.data.scenes import Motion, Sound, Spoken, sound, spoken
from hfmm.data.scenes.motion import FIELDS
from hfmm.errors import UsageError

VIEWS = {
    "motion": (Motion, tuple(FIELDS)),
    "sound": (Sound, tuple(sound.Sound.known)),
    "spoken": (Spoken, tuple(spoken.FIELDS)),
}
every_view = pytest.mark.parametrize("view", VIEWS)

DIGEST = """
import json
from tests.data.test_scenes_clips import digest, VIEWS
rows, found = {rows}, {{}}
for row in rows:
    found[row] = [digest(kind("test", seed=3, fields=fields)[row]) for kind, fields in VIEWS.values()]
print(json.dumps([found[row] for row in sorted(found)]))
"""


def digest(example: dict) -> str:
    """Of all values of an example."""
    whole = hashlib.sha256()
    for name, value in example.items():
        whole.update(name.encode())
        whole.update(value.tobytes() if isinstance(value, np.ndarray) else json.dumps(value).encode())
    return whole.hexdigest()


def digests(rows: list[int]) -> list[list[str]]:
    """Of examples made in a process of its own, in the given order, told in the order of the rows."""
    command = [sys.executable, "-c", DIGEST.format(rows=rows)]
    root = Path(__file__).parents[2]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def test_same_id_same_bytes_in_any_process_and_order():
    assert digests([0, 1, 2, 3, 4, 5]) == digests([3, 5, 0, 4, 1, 2])


@every_view
def test_what_is_asked_for_changes_nothing_else(view):
    kind, fields = VIEWS[view]
    everything = kind("validation", fields=fields)[17]
    for field in fields:
        example = kind("validation", fields=[field])[17]
        assert set(example) == {"id", field}
        assert digest(example) == digest({"id": everything["id"], field: everything[field]})


@every_view
def test_a_field_is_computed_only_when_asked_for(view, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError("a picture was drawn")

    monkeypatch.setattr("hfmm.data.scenes.render.picture", refuse)
    monkeypatch.setattr("hfmm.data.scenes.spoken.ellipse", refuse)
    kind, fields = VIEWS[view]
    kind(fields=[field for field in fields if field != "video"])[0]
    with pytest.raises(AssertionError, match="a picture was drawn"):
        kind(fields=["video"])[0]


@every_view
def test_load_data(view):
    kind, _ = VIEWS[view]
    loaded = hfmm.load_data(f"scenes:{view}", split="val", frames=9)
    assert type(loaded) is kind
    assert (loaded.name, loaded.split, len(loaded)) == (f"scenes:{view}", "validation", 1000)
    assert digest(loaded[4]) == digest(kind("validation", frames=9)[4])
    assert set(loaded[0]) == {"id", *loaded.features}
    assert len(hfmm.load_data("scenes", split="train", view=view)) == 100_000


@every_view
def test_dataset_view(view):
    kind, fields = VIEWS[view]
    clips = kind("test", size=12, fields=fields)
    dataset = clips.to_dataset()
    assert len(dataset) == 12
    assert digest(dataset[7]) == digest(clips[7])
    assert dataset.shard(3, 1)[0]["id"] == clips[4]["id"]


@every_view
def test_iterable_view_is_the_same_examples_in_shards_and_resumes(view):
    clips = VIEWS[view][0]("test", size=12)
    stream = clips.to_iterable(num_shards=3)
    assert [digest(example) for example in stream] == [digest(example) for example in clips]
    assert [example["id"] for example in stream.shard(3, 1)] == [f"scenes-test-{row}" for row in range(4, 8)]
    iterator = iter(stream)
    for _ in range(5):
        next(iterator)
    resumed = clips.to_iterable(num_shards=3)
    resumed.load_state_dict(stream.state_dict())
    assert [example["id"] for example in resumed] == [f"scenes-test-{row}" for row in range(5, 12)]


@every_view
def test_shards_hold_every_row_once_and_it_survives_pickling(view):
    clips = VIEWS[view][0]("test", size=7)
    again = pickle.loads(pickle.dumps(clips))
    found = {example["id"]: digest(example) for index in range(3) for example in again.shard(3, index)}
    assert found == {example["id"]: digest(example) for example in clips}


@pytest.mark.parametrize("frames", [8, 16])
def test_frames_are_bytes_of_pictures(frames):
    for kind in (Motion, Spoken):
        video = kind(frames=frames, picture_size=48, fields=["video"])[0]["video"]
        assert (video.shape, video.dtype) == ((frames, 48, 48, 3), np.uint8)


@pytest.mark.parametrize(
    ("view", "options", "message"),
    [
        ("moton", {}, "unknown view of scenes 'moton': did you mean 'motion'?"),
        ("motion", {"split": "tset"}, "unknown split of scenes 'tset': did you mean 'test'?"),
        ("motion", {"frames": 7}, "'frames' of scenes must be a whole number from 8 to 16, not 7"),
        ("motion", {"fields": ["vidoe"]}, "unknown field of scenes 'vidoe': did you mean 'video'?"),
        ("motion", {"fields": ["audio"]}, "unknown field of scenes 'audio'"),
        ("motion", {"noise": 1}, "unknown option of scenes 'noise'"),
        ("sound", {"objects": ()}, "'objects' of scenes must be"),
        ("sound", {"picture_size": 16}, "'picture_size' of scenes must be a whole number from 32 to 1024, not 16"),
        ("spoken", {"objects": (1,)}, "unknown option of scenes 'objects'"),
        ("spoken", {"size": 0}, "'size' of scenes must be a whole number of at least 1, not 0"),
    ],
)
def test_mistakes_are_told_in_one_line(view, options, message):
    with pytest.raises(UsageError) as caught:
        hfmm.load_data(f"scenes:{view}", **({"split": "train"} | options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
