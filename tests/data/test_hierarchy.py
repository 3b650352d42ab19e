"""Hierarchies of labels and the vectors of their nodes."""

import json

import numpy as np
import pytest

from hfmm import data
from hfmm.data.examples import ListExamples
from hfmm.data.hierarchy import Hierarchy, heads, pooled_vectors, read_hierarchy, read_vectors
from hfmm.data.splits import without_classes
from hfmm.errors import DataError, UsageError
from tests.testing import shared_data

TREE = Hierarchy(
    {"n0": [], "n1": ["n0"], "n2": ["n1"], "n3": ["n1"], "n4": ["n0"]},
    {
        "n0": ["entity"],
        "n1": ["cat", "true cat"],
        "n2": ["tabby", "tabby cat"],
        "n3": ["tiger cat"],
        "n4": ["big cat", "cat"],
    },
)


def test_a_label_is_the_node_whose_usual_name_it_is():
    assert TREE.nodes_of("cat") == ["n1"]  # though a big cat is called so, too
    assert TREE.nodes_of("True cat") == ["n1"]
    assert TREE.nodes_of("dog") == []


def test_a_label_without_a_vector_gets_the_mean_of_its_kinds():
    vectors = {"n2": np.array([2.0, 0.0]), "n3": np.array([0.0, 5.0])}
    found = pooled_vectors(["cat", "tabby", "big cat", "dog"], TREE, vectors)
    np.testing.assert_allclose(found, [[0.5, 0.5], [1, 0], [0, 0], [0, 0]])


def test_the_hierarchy_of_labels_is_what_lies_above_them():
    assert TREE.parents_of(["tabby"]) == {"n0": [], "n1": ["n0"], "n2": ["n1"], "tabby": ["n2"]}
    with pytest.raises(DataError, match="no node of the hierarchy is called 'dog'"):
        TREE.parents_of(["dog"])


def test_names_tell_what_they_are():
    assert heads(["red ring", "blue ring", "star"]) == {
        "": [], "red ring": ["ring"], "blue ring": ["ring"], "ring": [""], "star": [""],
    }  # fmt: skip


def test_the_vectors_of_imagenet_cover_eight_classes_of_cifar10():
    folder = shared_data("imagenet_hierarchy")
    hierarchy, vectors = read_hierarchy(folder), read_vectors(folder)
    assert len(vectors) == 608
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    found = pooled_vectors(names, hierarchy, vectors)
    assert found.shape == (10, 300)
    assert [name for name, vector in zip(names, found, strict=True) if not vector.any()] == ["deer", "frog"]
    wnids = dict(zip(names, (folder / "nbdt_wnids_CIFAR10.txt").read_text().split(), strict=True))
    for name in names:
        if name != "deer":  # no class of ImageNet is one
            assert wnids[name] in hierarchy.nodes_of(name), name


@pytest.mark.parametrize("text", ["no json", json.dumps([1]), json.dumps({"wnid": "n1"})])
def test_what_is_no_hierarchy_is_refused(text, tmp_path):
    (tmp_path / "is_a.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"is_a\.jsonl is no hierarchy of `wnid`, `name` and `parents`"):
        read_hierarchy(tmp_path)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match=r"is_a\.jsonl is not there: say where it is"):
        read_hierarchy(tmp_path)
    with pytest.raises(DataError, match="holds 0 parquet files"):
        read_vectors(tmp_path)


def test_classes_can_be_left_out_of_training():
    rows = [{"label": label} for label in (0, 1, None, 2, 1)]
    examples = ListExamples(rows, {"label": "label"}, label_names=("a", "b", "c"))
    left = without_classes(examples, ["b"])
    assert list(left.column("label")) == [0, 2]
    assert left.unseen_labels == left.select([0]).unseen_labels == ("b",)
    with pytest.raises(UsageError, match="unknown class of list 'd'"):
        without_classes(examples, ["d"])


def test_scenes_tell_which_combinations_they_hold_out():
    held_out = {"purple star", "green heart", "orange cross", "yellow ring"}
    assert set(data.load("scenes:classification").unseen_labels) == held_out
    assert data.load("scenes:classification", split="test_heldout").unseen_labels == ()
    assert data.load("scenes").unseen_labels == ()
