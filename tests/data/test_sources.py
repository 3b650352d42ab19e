"""Sources: every layout of folders and files to the same examples, and errors for what is not there."""

import csv

import numpy as np
import pytest

from hfmm.data import load
from hfmm.errors import DataError, UsageError
from tests.data.files import captions_of, picture, write_lines, write_pictures
from tests.testing import shared_data

pytestmark = pytest.mark.usefixtures("own_cache_and_no_network")


def test_rsicd_loads():
    examples = load(str(shared_data("rsicd")), "validation")
    assert len(examples) == 1094
    assert examples.features | {"image": "image", "captions": "texts", "label": "label"} == examples.features
    assert len(examples.label_names) == 30
    example = examples[0]
    assert (example["image"].mode, example["image"].size) == ("RGB", (128, 128))
    assert all(isinstance(caption, str) for caption in example["captions"])
    assert {None} < set(examples.column("label")) <= {None, *range(30)}  # -1 in the file: no label


def test_flickr8k_loads():
    examples = load(str(shared_data("flickr8k_1k")), "test")
    assert len(examples) == 100
    assert {len(captions) for captions in examples.column("captions")} == {5}
    assert examples.label_names is None


def test_daquar_unrolls_its_questions():
    examples = load(str(shared_data("daquar_vqa")), "val")
    assert len(examples) == 851
    assert examples[0]["id"] != examples[1]["id"]
    assert isinstance(examples[850]["question"], str)


def test_camvid_has_masks():
    example = load(str(shared_data("camvid")), "val", ignore_index=11)[0]
    assert example["mask"].shape == example["image"].size[::-1] == (180, 240)
    assert set(np.unique(example["mask"])) <= {*range(11), 255}


def test_coco_has_boxes_inside_its_pictures():
    example = load(str(shared_data("coco_tiny")), "train")[0]
    width, height = example["image"].size
    for thing in example["objects"]:
        left, top, right, bottom = thing["box"]
        assert 0 <= left <= right <= width + 1
        assert 0 <= top <= bottom <= height + 1


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("split_folders", [True, False])
def test_pictures_with_metadata(tmp_path, kind, split_folders):
    for split in ("train", "test") if split_folders else ("",):
        names = write_pictures(tmp_path / split, 3)
        rows = [{"file_name": name, "text": f"{split} {name}"} for name in names]
        if kind == "jsonl":
            write_lines(tmp_path / split / "metadata.jsonl", rows)
        else:
            with (tmp_path / split / "metadata.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, ["file_name", "text"])
                writer.writeheader()
                writer.writerows(rows)
    examples = load(str(tmp_path), split or "train")
    assert captions_of(examples) == [f"{split} {number}.png" for number in range(3)]
    assert examples[2]["image"].tobytes() == picture(2).tobytes()


def test_folders_of_classes_share_their_numbers_between_splits(tmp_path):
    for place in ("train/cat", "train/dog", "test/dog", "test/ant"):
        write_pictures(tmp_path / place, 2)
    (tmp_path / "train/cat/notes.txt").write_text("not a picture")
    train, test = load(str(tmp_path)), load(str(tmp_path), "test")
    assert train.label_names == test.label_names == ("ant", "cat", "dog")
    assert list(train.column("label")) == [1, 1, 2, 2]
    assert list(test.column("label")) == [0, 0, 2, 2]
    assert train.features == {"image": "image", "label": "label"}


def test_pictures_alone(tmp_path):
    write_pictures(tmp_path, 3)
    examples = load(str(tmp_path))
    assert (len(examples), examples.features) == (3, {"image": "image"})


def test_a_missing_picture_is_found_before_the_first_step(tmp_path):
    write_pictures(tmp_path, 1)
    rows = [{"file_name": name, "text": "t"} for name in ("0.png", "gone.png", "gone too.png")]
    write_lines(tmp_path / "metadata.jsonl", rows)
    with pytest.raises(
        DataError, match=r"metadata.jsonl line 2: .*gone.png: no such file \(and 1 more problems: hfmm doctor"
    ):
        load(str(tmp_path))


def test_nothing_is_fetched(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"image": "https://example.org/cat.jpg", "captions": ["a cat"]}])
    with pytest.raises(DataError, match=r"line 1: the picture is at https://example.org/cat.jpg: download it first"):
        load(str(tmp_path))


def test_a_missing_split_names_those_that_are_there(tmp_path):
    for name in ("train", "test", "extra"):
        write_lines(tmp_path / f"{name}.jsonl", [{"text": "t"}])
    with pytest.raises(DataError, match="has no split 'validation': it has train, test, extra"):
        load(str(tmp_path), "dev")


@pytest.mark.parametrize(
    "spec", ["no/such/folder", "./nowhere", "gone.jsonl", "/absent.parquet", "nul\0", "~nobody/x.csv"]
)
def test_a_missing_file_or_folder(spec):
    with pytest.raises(DataError, match="no data set"):
        load(spec)


def test_a_misspelt_name():
    with pytest.raises(DataError, match=r"'scene': neither a file .* did you mean 'scenes'\?"):
        load("scene")


def test_a_folder_without_data(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(DataError, match="holds no parquet, jsonl, csv or json files and no pictures"):
        load(str(tmp_path))
    with pytest.raises(DataError, match=r"readme.txt: a data file is one of .parquet, .jsonl, .csv"):
        load(str(tmp_path / "readme.txt"))


def test_a_file_without_rows(tmp_path):
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(DataError, match="train holds no rows"):
        load(str(tmp_path))


def test_unknown_options_and_choices(tmp_path):
    path = str(write_lines(tmp_path / "a.jsonl", [{"text": "t"}]))
    with pytest.raises(UsageError, match=r"unknown option of data '.*' 'ignore_idx': did you mean 'ignore_index'"):
        load(path, ignore_idx=3)
    with pytest.raises(UsageError, match="unknown on_bad_example 'skp': did you mean 'skip'"):
        load(path, on_bad_example="skp")
    with pytest.raises(UsageError, match="scenes is built in"):
        load("scenes", columns="image=photo")
    with pytest.raises(DataError, match=r"has no column 'sentence' .for text.: it has text"):
        load(path, columns="text=sentence")


def test_parts_of_a_split_cover_it_once():
    whole = load("digits", "train")
    first, last = load("digits", "train[:90%]"), load("digits", "train[90%:]")
    assert len(first) + len(last) == len(whole)
    assert first[0]["id"] == whole[0]["id"]
    assert last[-1]["id"] == whole[-1]["id"]
    assert (first.split, last.split) == ("train[:90%]", "train[90%:]")
    assert [example["id"] for example in load("digits", "val[3:5]")] == [
        load("digits", "val")[row]["id"] for row in (3, 4)
    ]


@pytest.mark.parametrize(("split", "message"), [("train[1:2", "not written like"), ("train[5:5]", "holds none of")])
def test_parts_that_are_none_are_refused(split, message):
    with pytest.raises(UsageError, match=message):
        load("digits", split)
