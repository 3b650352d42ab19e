"""Labels as vectors: where they come from, and which labels a model then has."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import hfmm
from hfmm.data.examples import ListExamples
from hfmm.errors import UsageError
from hfmm.training.objectives.label_vectors import LabelVectors
from tests.testing import seeded

NAMES = ("red ring", "blue ring", "red star", "greenstar")
CAPTIONS = [["a red ring", "a blue ring and a red star"], ["a green star", "a blue star", "one green ring"]]
TEXTS = {"greenstar": "green star"}


def prepared(names=NAMES, unseen=("greenstar",), **settings):
    rows = [{"label": 0, "captions": captions} for captions in CAPTIONS]
    dataset = ListExamples(rows, {"label": "label", "captions": "texts"}, label_names=names)
    dataset.unseen_labels = unseen
    processor = hfmm.create_processor("devise")
    with seeded():
        model = hfmm.create_model("devise", word_size=8, id2label=dict(enumerate(names)))
    objective = LabelVectors({"model": model}, settings=settings)
    objective.prepare(dataset, processor)
    return model, objective, processor


def test_labels_of_two_words_are_the_mean_of_their_words():
    model, _, processor = prepared(label_texts=TEXTS, hierarchy="heads")
    assert list(model.config.id2label.values()) == list(NAMES)
    assert model.unseen_labels() == ["greenstar"]
    red, ring = processor.tokenizer.convert_tokens_to_ids(["red", "ring"])
    mean = (model.word_vectors[red] + model.word_vectors[ring]) / 2
    torch.testing.assert_close(model.label_vectors[0], mean / mean.norm())
    assert model.label_hierarchy()["red ring"] == ["ring"]


def test_a_label_without_a_vector_must_be_unseen_and_is_then_none_of_the_models():
    with pytest.raises(UsageError, match=r"label 'greenstar' has no vector: say in objective\.label_texts"):
        prepared(unseen=())
    model, objective, _ = prepared()
    assert list(model.config.id2label.values()) == list(NAMES[:3])
    assert objective.numbers.tolist() == [0, 1, 2, -1]
    assert model.unseen_labels() == []


def test_the_baselines_vectors():
    model, *_ = prepared(vectors="random")
    assert model.label_vectors.shape == (4, 8)
    assert not model.word_vectors.any()
    model, objective, _ = prepared(vectors="one_hot", unseen=("blue ring",))
    assert torch.equal(model.label_vectors, torch.eye(8)[:3])
    assert objective.numbers.tolist() == [0, -1, 1, 2]
    assert model.unseen_labels() == ["blue ring"]  # it is missed, not left out
    with pytest.raises(UsageError, match="9 labels need a word_size of as many, not 8"):
        prepared(tuple("abcdefghi"), unseen=(), vectors="one_hot")


def test_vectors_of_a_hierarchy_are_pooled(tmp_path):
    rows = [
        ("n0", "thing", []),
        ("n1", "red ring", ["n0"]),
        ("n2", "ring of gold", ["n1"]),
        ("n3", "blue ring", ["n0"]),
    ]
    lines = [json.dumps({"wnid": wnid, "name": name, "parents": parents}) for wnid, name, parents in rows]
    (tmp_path / "is_a.jsonl").write_text("\n".join(lines))
    vectors = torch.eye(8)[:2].tolist()
    pq.write_table(pa.table({"wnid": ["n2", "n3"], "vector": vectors}), tmp_path / "vectors.parquet")
    model, *_ = prepared(NAMES[:2], (), vectors=str(tmp_path), hierarchy=str(tmp_path))
    assert torch.equal(model.label_vectors, torch.eye(8)[:2])
    assert model.label_hierarchy() == {
        "n0": [], "n1": ["n0"], "n3": ["n0"], "red ring": ["n1"], "blue ring": ["n3"],
    }  # fmt: skip
    pq.write_table(pa.table({"wnid": ["n2", "n3"], "vector": torch.eye(2).tolist()}), tmp_path / "vectors.parquet")
    with pytest.raises(UsageError, match=r"have 2 dimensions: model\.word_size is 8"):
        prepared(NAMES[:2], (), vectors=str(tmp_path))


def test_a_turn_is_a_sum_over_pictures_among_the_models_labels():
    model, objective, processor = prepared()
    model.eval()
    pictures = processor(images=[example["image"] for example in hfmm.load_data("scenes", size=3)])["pixel_values"]
    labels = torch.tensor([2, 0, 1])
    (turn,) = objective.turns({"pixel_values": pictures, "labels": labels}, None)
    assert turn.count == 3
    torch.testing.assert_close(turn.loss / 3, model(pictures, labels=labels).loss)


def test_a_run_learns_words_from_captions_and_labels_can_be_added_to_it(tmp_path):
    settings = {"objective.corpus.options.size": 30, "evaluation.size": 20, "data.workers": 0}
    settings["players.model.precision"] = "fp32"
    run = hfmm.train("devise", output_dir=tmp_path / "run", max_steps=2, batch_size=4, overrides=settings, quiet=True)
    assert set(run.metrics) >= {"hit_1", "hit_20", "seen_hit_5", "hierarchical_precision_5"}
    row = hfmm.evaluate(tmp_path / "run", split="test_heldout", limit=20)[-1]
    assert set(row["metrics"]) >= {"unseen_hit_1", "unseen_among_all_hit_5"}
    loaded = run.load()
    assert loaded.model.unseen_labels() == ["purple star", "green heart", "orange cross", "yellow ring"]
    names = ["small red ring", "large blue star"]
    texts = loaded.processor(text=names)
    loaded.model.set_labels(names, loaded.model.get_text_features(**texts).pooler_output)
    assert list(loaded.model.config.id2label.values()) == names


def test_a_recipe_may_name_another_task_of_the_architecture(tmp_path):
    """Sentences as the mean of their words, pictures among the captions of a batch."""
    settings = {
        "task": "image-text-retrieval", "data.name": "scenes", "evaluation.size": 5, "data.workers": 0,
        "players.model.precision": "fp32", "model.negatives": "all",
    }  # fmt: skip
    recipe = tmp_path / "pairs.yaml"
    recipe.write_text("objective: {name: word_pairs, words: {window: 2}}\ndata: {options: {size: 20}}")
    run = hfmm.train("devise", tmp_path / "run", str(recipe), max_steps=2, batch_size=4, overrides=settings, quiet=True)
    assert "text_to_image_r1" in run.metrics
    assert run.load().model.word_vectors.any()
    assert "image_to_text_r1" in hfmm.evaluate(tmp_path / "run", limit=5)[-1]["metrics"]
    with pytest.raises(UsageError, match="unknown task of devise 'image-captioning'"):
        hfmm.train("devise", tmp_path / "other", max_steps=1, overrides={"task": "image-captioning"}, quiet=True)
