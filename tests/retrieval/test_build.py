"""Building indices: interrupted, replaced, from data that cannot be read, and in constant memory."""

import pytest
import torch
from PIL import Image

import hfmm
from hfmm.data.examples import ListExamples
from hfmm.errors import DataError, UsageError
from hfmm.retrieval import build as building
from hfmm.retrieval.build import Wanted, build
from hfmm.retrieval.hits import ask, write_sheet
from hfmm.retrieval.index import Index
from tests.retrieval import models
from tests.retrieval.models import BOTH, COUNT, DATA, whole


class Stop(Exception):
    """Raised in the middle of a build."""


def test_an_interrupted_build_leaves_nothing_and_goes_on(model, scenes, tmp_path, monkeypatch):
    read = []

    class Counted(ListExamples):
        def read(self, row):
            read.append(row)
            if len(read) == 25:
                raise Stop
            return super().read(row)

        def peek(self, row):
            return super().read(row)

    examples = Counted(list(scenes), scenes.features, "scenes", "test")
    wanted = Wanted(BOTH, share=16)
    with pytest.raises(Stop):
        build(model, examples, DATA, tmp_path / "index", wanted)
    assert not (tmp_path / "index").exists()
    with pytest.raises(UsageError, match="is not an index"):
        Index(tmp_path / "index")
    finished = build(model, examples, DATA, tmp_path / "index", wanted)
    assert read[25:] == list(range(16, COUNT))  # the first share was there
    fresh = build(model, scenes, DATA, tmp_path / "fresh", wanted)
    assert finished.about == fresh.about
    for part in BOTH:
        assert finished.part(part).to_dict() == fresh.part(part).to_dict()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "index"]


def test_what_was_begun_of_another_model_is_not_taken_over(model, scenes, tmp_path):
    staged = tmp_path / ".index.building"
    other = models.loaded(*models.clip(seed=1))
    whole_index = build(other, scenes, DATA, tmp_path / "other", Wanted())
    whole_index.folder.rename(staged)
    (staged / "plan.json").write_text("{}")
    index = build(model, scenes, DATA, tmp_path / "index", Wanted())
    assert index.checked(model)
    torch.testing.assert_close(
        whole(index, "images"), whole(build(model, scenes, DATA, tmp_path / "b", Wanted()), "images")
    )


def test_an_index_is_replaced_only_when_asked_and_nothing_else_ever(model, scenes, tmp_path):
    few = scenes.select(range(3))
    build(model, few, DATA, tmp_path / "index", Wanted())
    with pytest.raises(UsageError, match="is there already: --overwrite replaces it"):
        build(model, scenes, DATA, tmp_path / "index", Wanted())
    assert build(model, scenes, DATA, tmp_path / "index", Wanted(overwrite=True)).about.counts == {"images": COUNT}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="holds something else than an index"):
        build(model, scenes, DATA, tmp_path / "mine", Wanted(overwrite=True))
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_pictures_that_cannot_be_read_stop_it_or_are_left_out(model, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(4):
        Image.new("RGB", (40, 40), (60 * number, 0, 0)).save(data / f"{number}.png")
    (data / "2.png").write_bytes(b"garbage")
    examples = hfmm.load_data(str(data), on_bad_example="skip")
    settings = {"spec": str(data), "split": "train"}
    with pytest.raises(DataError, match="row 2: "):
        build(model, examples, settings, tmp_path / "index", Wanted())
    index = build(model, examples, settings, tmp_path / "index", Wanted(skip_bad=True))
    assert index.about.counts == {"images": 3}
    assert index.part("images")["file"] == ["0.png", "1.png", "3.png"]
    assert index.part("images")["row"] == [0, 1, 3]
    write_sheet(
        tmp_path / "s.png", ask(index, index.checked(model), "red", "images", 3), index.examples(), "red", "images", ""
    )
    assert Image.open(tmp_path / "s.png").width > 300
    for path in data.iterdir():
        path.write_bytes(b"garbage")
    with pytest.raises(DataError, match="no example could be read, so there is nothing to index"):
        build(model, hfmm.load_data(str(data), on_bad_example="skip"), settings, tmp_path / "x", Wanted(skip_bad=True))
    assert not (tmp_path / "x").exists()


def test_data_that_do_not_fit_are_refused(model, scenes, tmp_path):
    with pytest.raises(DataError, match="has no examples: there is nothing to index"):
        build(model, scenes.select(()), DATA, tmp_path / "x", Wanted())
    silent = ListExamples([{"image": Image.new("RGB", (9, 9))}], {"image": "image"})
    with pytest.raises(DataError, match="has no column 'captions', which an index of captions needs"):
        build(model, silent, {"spec": "list"}, tmp_path / "x", Wanted(BOTH))
    broken = models.loaded(*models.clip())
    with torch.no_grad():
        broken.model.visual_projection.weight.fill_(torch.nan)
    with pytest.raises(DataError, match="example scenes-test-0: the model embeds it as NaN"):
        build(broken, scenes, DATA, tmp_path / "x", Wanted())
    assert not (tmp_path / "x").exists()


def test_a_model_of_pairs_has_no_index(scenes, tmp_path):
    with pytest.raises(UsageError, match="Letters looks at a picture and a text together: it embeds neither"):
        build(models.loaded(*models.pairs(), name="vilt"), scenes, DATA, tmp_path / "x", Wanted())


def test_captions_longer_than_the_model_takes_are_cut(model, tmp_path):
    picture = Image.new("RGB", (64, 64))
    long = ListExamples([{"image": picture, "captions": ["red circle " * 40]}], {"image": "image", "captions": "texts"})
    index = build(model, long, {"spec": "list"}, tmp_path / "index", Wanted(("captions",)))
    expected = index.checked(model).texts(["red circle " * 40], cut=True)
    torch.testing.assert_close(whole(index, "captions"), expected)
    with pytest.raises(UsageError, match="holds no images, only captions: index them with --of"):
        index.part("images")


def test_without_faiss_it_is_said_before_anything_is_written(model, scenes, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(UsageError, match=r'approximate search needs faiss: pip install "hfmm\[retrieval\]"'):
        build(model, scenes, DATA, tmp_path / "index", Wanted(kind="hnsw"))
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_data(model, scenes, tmp_path, monkeypatch):
    held = []
    write = building.write_shard

    def watch(path, columns, embedded, width):
        held.append(sum(map(len, embedded)))
        write(path, columns, embedded, width)

    monkeypatch.setattr(building, "write_shard", watch)
    build(model, scenes, DATA, tmp_path / "index", Wanted(share=8))
    assert held == [8] * 5
