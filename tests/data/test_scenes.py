"""The built-in scenes: pictures, objects, boxes, masks, depth, labels, views and splits."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfmm.data.scenes import Scenes, render, world
from hfmm.data.scenes.grammar import COLORS, COLUMNS, ROWS, SHAPES
from hfmm.data.scenes.still import FIELDS
from hfmm.errors import UsageError

EVERY_FIELD = tuple(FIELDS)
MANY = (0, 0, 0, 1)  # always four objects

DIGEST = """
import hashlib, json, sys
from hfmm.data.scenes import Scenes
scenes = Scenes("test", seed=3, fields={fields!r})
def digest(example):
    parts = [example[name].tobytes() for name in ("image", "mask", "class_mask", "depth", "labels")]
    parts += [json.dumps(example[name]).encode() for name in ("id", "captions", "objects", "questions", "dialogue")]
    return hashlib.sha256(b"|".join(parts)).hexdigest()
rows = {rows}
found = {{row: digest(scenes[row]) for row in rows}}
print(json.dumps([found[row] for row in sorted(found)]))
"""


def digests(rows: list[int]) -> list[str]:
    """Digests of examples made in a process of its own, in the given order, told in the order of the rows."""
    command = [sys.executable, "-c", DIGEST.format(fields=EVERY_FIELD, rows=rows)]
    root = Path(__file__).parents[2]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


def pairs(scene: world.Scene) -> set[tuple[str, str]]:
    return {(SHAPES[body.shape], COLORS[body.color]) for body in scene.bodies}


def tight_box(inside: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(inside)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_same_id_same_bytes_in_any_process_and_order():
    assert digests(list(range(12))) == digests([7, 3, 11, 0, 1, 10, 2, 9, 4, 8, 6, 5])


def test_what_is_asked_for_changes_nothing_else():
    everything = Scenes(fields=EVERY_FIELD)[17]
    for field in EVERY_FIELD:
        example = Scenes(fields=[field])[17]
        assert set(example) == {"id", field}
        assert pickle.dumps(np.asarray(example[field])) == pickle.dumps(np.asarray(everything[field]))


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("picture_size", [32, 50, 64, 128])
def test_boxes_are_tight_around_masks(picture_size, overlap):
    scenes = Scenes(fields=("objects", "mask"), objects=MANY, picture_size=picture_size, overlap=overlap)
    for row in range(60):
        example = scenes[row]
        for number, thing in enumerate(example["objects"], 1):
            assert thing["box"] == tight_box(example["mask"] == number)


def test_the_mask_is_where_the_object_is_painted():
    for row in range(30):
        scene = Scenes(objects=MANY).scene(row)
        placed, order = render.place(scene, 64), render.back_to_front(scene)
        empty = np.asarray(render.background(*scene.background, 64)).astype(int)
        picture = np.asarray(render.picture(scene, placed, order, 64))
        mask = render.instance_mask(placed, order, 64)
        for number, body in enumerate(scene.bodies, 1):
            nearer = np.abs(picture - np.array(body.rgb)).sum(2) <= np.abs(picture - empty).sum(2)
            assert (nearer[mask == number]).mean() > 0.97  # but for rounding at half covered pixels
        changed = (picture != empty).any(2)
        assert changed[mask > 0].mean() > 0.99


def test_held_out_pairs_are_absent_from_20000_training_scenes():
    scenes = Scenes("train")
    seen = set().union(*(pairs(scenes.scene(row)) for row in range(20_000)))
    assert seen.isdisjoint(world.HELD_OUT)
    assert len(seen) == 60


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_pairs_are_absent_from_validation_and_test(split):
    scenes = Scenes(split)
    assert all(pairs(scenes.scene(row)).isdisjoint(world.HELD_OUT) for row in range(1000))


def test_every_scene_of_test_heldout_has_a_held_out_pair():
    found = [pairs(Scenes("test_heldout").scene(row)).intersection(world.HELD_OUT) for row in range(1000)]
    assert all(found)
    counts = Counter(pair for some in found for pair in some)
    assert min(counts.values()) > 200


def test_splits_share_no_scene_description():
    """Every scene's numbers add up to its split's number modulo 4, so that no other split can hold it."""
    for number, split in enumerate(world.SPLITS):
        for arguments in ({}, {"seed": 1}, {"objects": (1,)}, {"overlap": True}, {"view": "classification"}):
            scenes = Scenes(split, **arguments)
            assert {world.signature(scenes.scene(row)) for row in range(500)} == {number}
    train, test = ({Scenes(split).scene(row) for row in range(1000)} for split in ("train", "test"))
    assert train.isdisjoint(test)


def test_scenes_of_a_split_differ():
    scenes = Scenes("train")
    assert len({scenes.scene(row) for row in range(5000)}) == 5000


def test_class_balance():
    scenes, lone = Scenes("train"), Scenes("train", objects=(1,))
    counts = Counter(len(scenes.scene(row).bodies) for row in range(5000))
    np.testing.assert_allclose([counts[n] / 5000 for n in (1, 2, 3, 4)], (0.4, 0.3, 0.2, 0.1), atol=0.03)
    bodies = [body for row in range(5000) for body in lone.scene(row).bodies]
    per_pair = Counter((body.shape, body.color) for body in bodies)
    assert len(per_pair) == 60
    assert max(per_pair.values()) < 2 * min(per_pair.values())
    per_place = Counter((body.row, body.column) for body in bodies)
    assert max(per_place.values()) < 1.3 * min(per_place.values())
    assert sum(body.is_large for body in bodies) / 5000 == pytest.approx(0.5, abs=0.03)


def test_objects_differ_and_no_two_share_a_cell():
    for row in range(2000):
        bodies = Scenes(objects=MANY).scene(row).bodies
        assert len({(body.shape, body.color) for body in bodies}) == 4
        cells = [(body.row, body.column) for body in bodies]
        assert cells == sorted(set(cells))  # in reading order


def test_centers_lie_in_the_cells_that_are_named():
    for row in range(2000):
        for body in Scenes(overlap=True).scene(row).bodies:
            assert (body.y * 3 // 64, body.x * 3 // 64) == (body.row, body.column)


def test_sizes_are_the_stated_fractions_of_the_picture():
    small, large = ([diameter / 64 for diameter in some] for some in (world.SMALL_DIAMETERS, world.LARGE_DIAMETERS))
    assert min(small) >= 0.18
    assert max(small) <= 0.22
    assert min(large) >= 0.32
    assert max(large) <= 0.40


@pytest.mark.parametrize("picture_size", [32, 45, 64])
def test_objects_stay_apart_unless_overlap_is_allowed(picture_size):
    def hidden(overlap: bool) -> int:
        scenes = Scenes(fields=("mask",), objects=MANY, overlap=overlap, picture_size=picture_size)
        area = 0
        for row in range(300):
            scene = scenes.scene(row)
            whole = sum(sprite.solid.sum() for sprite, _, _ in render.place(scene, picture_size))
            area += whole - (scenes[row]["mask"] > 0).sum()
        return area

    assert hidden(overlap=False) == 0
    assert hidden(overlap=True) > 0


def test_a_large_object_that_does_not_fit_becomes_small():
    def share_of_large(weights: tuple[float, ...], overlap: bool) -> float:
        scenes = Scenes(objects=weights, overlap=overlap)
        return np.mean([body.is_large for row in range(1000) for body in scenes.scene(row).bodies])

    assert share_of_large(MANY, overlap=True) == pytest.approx(0.5, abs=0.04)
    assert share_of_large(MANY, overlap=False) < share_of_large((1,), overlap=False) - 0.1


def test_every_shape_stays_inside_its_diameter_at_every_angle():
    for shape in range(len(SHAPES)):
        for diameter in (*world.SMALL_DIAMETERS, *world.LARGE_DIAMETERS):
            for angle in world.ANGLES:
                x0, y0, x1, y1 = render.sprite(shape, diameter, angle, 64).box
                assert max(-x0, -y0, x1, y1) <= (diameter + 1) // 2
                assert min(x1 - x0, y1 - y0) >= 0.65 * diameter


def test_colors_stand_out_from_every_background():
    for color, texture, variant in {(c, t, v if t else 0) for c in range(6) for t in range(5) for v in range(3)}:
        pixels = np.asarray(render.background(color, texture, variant, 64)).reshape(-1, 3)
        assert pixels.mean() > 190  # pale
        for low_and_high in world._RANGES:
            corners = np.array(low_and_high)
            distance = np.maximum(corners[:, 0] - pixels, pixels - corners[:, 1]).max(
                1
            )  # to the nearest jittered color
            assert np.quantile(distance, 0.01) >= 10


def test_colors_stay_within_eight_percent():
    for row in range(1000):
        for body in Scenes().scene(row).bodies:
            levels = world.PALETTE[COLORS[body.color]]
            assert max(abs(found - level) for found, level in zip(body.rgb, levels, strict=True)) <= 0.08 * 255


def test_the_same_scene_at_every_picture_size():
    small, large = (Scenes("test", picture_size=size)[5] for size in (64, 256))
    assert large["captions"] == small["captions"]
    assert large["image"].size == (256, 256)
    for coarse, fine in zip(small["objects"], large["objects"], strict=True):
        assert {name: coarse[name] for name in ("shape", "color", "size", "place", "angle")} == {
            name: fine[name] for name in ("shape", "color", "size", "place", "angle")
        }
        np.testing.assert_allclose(np.array(fine["box"]) / 4, coarse["box"], atol=1)
    shrunk = np.asarray(large["image"].resize((64, 64), Image.Resampling.BOX)).astype(int)
    assert np.abs(shrunk - np.asarray(small["image"])).mean() < 6


def test_fewer_captions_are_the_first():
    rows = [Scenes("validation", captions=count)[3]["captions"] for count in (5, 2)]
    assert rows[1] == rows[0][:2]
    with pytest.raises(UsageError, match="'captions' of scenes must be a whole number from 1 to 5, not 6"):
        Scenes(captions=6)


# Scenes that differ


def test_distinct_scenes_differ_in_their_objects_and_are_the_first_that_do():
    plain, distinct = Scenes("test", size=1200), Scenes("test", size=1000, distinct=True)
    kinds = [tuple(body.kind for body in plain.scene(row).bodies) for row in range(1200)]
    first = [row for row, kind in enumerate(kinds) if kind not in kinds[:row]][:1000]
    assert 1000 - len(set(kinds[:1000])) > 2  # without being asked for, some are drawn twice
    assert [distinct.peek(row)["id"] for row in range(1000)] == [f"scenes-test-{row}" for row in first]
    for row in (0, 500, 999):
        assert distinct[row]["captions"] == plain[first[row]]["captions"]
        assert distinct.scene(row) == plain.scene(first[row])
    things = distinct[0]["objects"]
    said = [(SHAPES[b.shape], COLORS[b.color], f"{ROWS[b.row]} {COLUMNS[b.column]}") for b in distinct.scene(0).bodies]
    assert [(thing["shape"], thing["color"], thing["place"]) for thing in things] == said


def test_where_too_few_scenes_differ_one_line_says_how_many():
    with pytest.raises(UsageError, match=r"of 40,000 scenes, 1,080 are distinct: ask for fewer with 'size'"):
        Scenes(objects=(1,), size=2000, distinct=True)
    with pytest.raises(UsageError, match="'distinct' is for scenes that are drawn without a question"):
        Scenes(view="vqa", distinct=True)
