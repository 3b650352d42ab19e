"""Indices: built a share at a time, opened by `datasets`, searched all three ways, and refused when they do not fit."""

import importlib.util
import json

import datasets
import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

import hfmm
from hfmm.errors import DataError, UsageError
from hfmm.explanation.codes import extract_codes
from hfmm.retrieval.build import Wanted, build
from hfmm.retrieval.embedding import Embedder
from hfmm.retrieval.hits import ask, write_sheet
from hfmm.retrieval.index import Index
from tests.retrieval import models
from tests.retrieval.models import BOTH, COUNT, DATA, whole


@pytest.fixture(scope="module")
def index(model, scenes, tmp_path_factory):
    return build(model, scenes, DATA, tmp_path_factory.mktemp("indices") / "scenes", Wanted(BOTH, share=16))


def test_it_opens_with_datasets_and_stays_on_disk(index, scenes):
    images = datasets.load_from_disk(str(index.folder / "images"))
    assert images.column_names == ["id", "row", "file", "embedding"]
    assert images["id"] == [scenes[row]["id"] for row in range(COUNT)]
    assert [file["filename"].rsplit("/")[-1] for file in images.cache_files] == [
        f"data-0000{number}-of-00003.arrow" for number in range(3)
    ]
    captions = datasets.load_from_disk(str(index.folder / "captions"))
    expected = [(row, caption) for row in range(COUNT) for caption in scenes[row]["captions"]]
    assert list(zip(captions["row"], captions["caption"], strict=True)) == expected
    assert index.about.counts == {"images": COUNT, "captions": len(expected)}
    assert not list(index.folder.parent.glob(".*"))


def test_embeddings_are_the_models_of_unit_length(index, model, scenes):
    inputs = model.processor(
        images=[scenes[row]["image"] for row in range(COUNT)],
        text=[scenes[row]["captions"][0] for row in range(COUNT)],
        padding=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        out = model.model(**inputs)
    torch.testing.assert_close(whole(index, "images"), out.image_embeds)
    captions = index.part("captions")
    first = [captions["row"].index(row) for row in range(COUNT)]
    torch.testing.assert_close(whole(index, "captions")[first], out.text_embeds)


def test_words_find_pictures_and_pictures_find_both(index, model, scenes):
    embedder = index.checked(model)
    query = "a red circle"
    hits = ask(index, embedder, query, "images", 5)
    scores = (embedder.texts([query]) @ whole(index, "images").T)[0].numpy()
    order = np.argsort(-scores, kind="stable")[:5].tolist()
    assert [hit.row for hit in hits] == order
    assert [hit.score for hit in hits] == pytest.approx(scores[order].tolist(), abs=1e-6)
    itself = ask(index, embedder, scenes[7]["image"], "images", 3)
    assert (itself[0].row, itself[0].id) == (7, scenes[7]["id"])
    assert itself[0].score == pytest.approx(1, abs=1e-5)
    said = ask(index, embedder, scenes[7]["image"], "captions", 20)
    assert len({hit.caption for hit in said}) == 20
    assert [hit.score for hit in said] == sorted((hit.score for hit in said), reverse=True)


def test_all_captions_are_given_once_where_fewer_are_there(index, model):
    hits = ask(index, index.checked(model), "a red circle", "captions", 10_000)
    captions = index.part("captions")["caption"]
    assert len(hits) == len(set(captions))
    assert hits[0].score == max(hit.score for hit in hits)


def test_a_score_that_is_no_cosine_is_the_models_own(scenes, tmp_path):
    model = models.loaded(*models.order())
    index = build(model, scenes, DATA, tmp_path / "order", Wanted(BOTH))
    assert index.about.score == "own"
    embedder = index.checked(model)
    images = torch.cat([embedder.pictures([scenes[row]["image"]]) for row in range(COUNT)])
    hits = ask(index, embedder, "a red circle", "images", COUNT)
    scores = model.model.score(images, embedder.texts(["a red circle"]))[:, 0]
    assert [hit.score for hit in hits] == pytest.approx(scores.sort(descending=True).values.tolist(), abs=1e-4)
    captions = whole(index, "captions")
    best = ask(index, embedder, scenes[3]["image"], "captions", 1)[0]
    assert best.score == pytest.approx(model.model.score(images[[3]], captions).max().item(), abs=1e-4)
    like = ask(index, embedder, scenes[3]["image"], "images", 1)[0]  # two pictures: their cosine
    assert (like.row, like.score) == (3, pytest.approx(1, abs=1e-5))
    with pytest.raises(UsageError, match=r"compares in a way of its own, not by cosines|needs faiss"):
        build(model, scenes, DATA, tmp_path / "ivf", Wanted(kind="ivf"))


@pytest.mark.parametrize("kind", ["cosine", "own"])
def test_a_score_in_proportion_to_the_cosine_is_taken_as_one(kind):
    """A dot product is not, where embeddings have lengths."""

    def score(self, images, texts):
        return 20 * (normalize(images) @ normalize(texts).T if kind == "cosine" else images @ texts.T)

    model, processor = models.clip()
    model.__class__ = type("Scaled", (type(model),), {"score": score})
    assert Embedder(model, processor).kind == kind


def test_any_picture_model_finds_pictures(tmp_path):
    model = hfmm.create_model("lenet5").eval()
    loaded = models.loaded(model, hfmm.create_processor("lenet5"), "runs/lenet5", "lenet5")
    digits = hfmm.load_data("digits", split="test").select(range(30))
    index = build(loaded, digits, {"spec": "digits", "split": "test"}, tmp_path / "digits", Wanted())
    assert index.about.width == extract_codes(model, loaded.processor, [digits[0]["image"]]).shape[1]
    hit = ask(index, index.checked(loaded), digits[11]["image"], "images", 1)[0]
    assert hit.row == 11
    with pytest.raises(UsageError, match="embeds pictures, and no texts"):
        ask(index, index.checked(loaded), "a seven", "images", 1)
    with pytest.raises(UsageError, match="lenet5 embeds pictures, and no texts: index with --of images"):
        build(loaded, hfmm.load_data("scenes", split="test").select(range(3)), DATA, tmp_path / "x", Wanted(BOTH))


def test_another_model_is_refused(index):
    with pytest.raises(UsageError, match="is an index of another model than runs/clip"):
        index.checked(models.loaded(*models.clip(seed=1)))
    with pytest.raises(UsageError, match="holds embeddings of width 12, made by runs/clip; those of runs/clip have 8"):
        index.checked(models.loaded(*models.clip(width=8)))
    with pytest.raises(UsageError, match=r"the model of .*no such run directory; --model says where it is"):
        index.embedder(index.folder / "nowhere" / "at" / "all")


def test_queries_that_cannot_be_asked_are_refused(index, model):
    embedder = index.checked(model)
    with pytest.raises(UsageError, match="has 82 tokens, and the model takes 64: shorten the text"):
        ask(index, embedder, "red circle " * 40, "images", 3)
    with pytest.raises(UsageError, match="the query is empty"):
        ask(index, embedder, " ", "images", 3)
    with pytest.raises(DataError, match=r"queries have a width of 5, .* has 12"):
        index.search(embedder, torch.ones(1, 5), True, "images", 3)


def test_damage_is_told(index, tmp_path):
    import shutil

    def copy(name):
        return shutil.copytree(index.folder, tmp_path / name)

    broken = copy("a")
    (broken / "index.json").write_text("{")
    with pytest.raises(DataError, match=r"index.json is damaged"):
        Index(broken)
    gone = copy("b")
    (gone / "images" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(DataError, match="is damaged"):
        Index(gone)
    empty = copy("c")
    values = json.loads((empty / "index.json").read_text())
    (empty / "index.json").write_text(json.dumps({**values, "counts": {"images": 39}}))
    with pytest.raises(DataError, match="40 images of 39 are there"):
        Index(empty)
    (empty / "index.json").write_text(json.dumps({**values, "version": 2}))
    with pytest.raises(DataError, match="has layout 2, this hfmm reads 1"):
        Index(empty)


def test_the_sheet_shows_the_data_that_were_indexed(index, model, scenes, tmp_path):
    hits = ask(index, index.checked(model), scenes[2]["image"], "images", 4)
    write_sheet(tmp_path / "sheet.html", hits, index.examples(), scenes[2]["image"], "images", "4 of 40")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("<img") == 5
    assert scenes[2]["captions"][0] in page
    with pytest.raises(DataError, match="is scenes-train-2, and was scenes-test-2 when it was indexed"):
        write_sheet(tmp_path / "x.png", hits, hfmm.load_data("scenes"), "words", "images", "")


@pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss is not installed")
@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_finds_most(kind, model, scenes, tmp_path):
    index = build(model, scenes, DATA, tmp_path / kind, Wanted(BOTH, kind, share=16))
    plain = build(model, scenes, DATA, tmp_path / "exact", Wanted(BOTH))
    embedder = index.checked(model)
    for part in BOTH:
        found = index.search(embedder, embedder.texts(["a red circle"]), True, part, 10).rows[0].tolist()
        best = plain.search(embedder, embedder.texts(["a red circle"]), True, part, 10)
        assert len(set(found) & set(best.rows[0].tolist())) >= 8
    assert len(ask(index, embedder, "a red circle", "captions", 10)) == 10
    (index.folder / "images.faiss").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read: index the data again"):
        ask(index, embedder, "a red circle", "images", 10)
