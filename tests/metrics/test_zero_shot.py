"""Zero-shot classification: hits and hierarchical precision."""

import json

import pytest

from hfmm import metrics
from hfmm.errors import DataError
from hfmm.metrics.hierarchical_precision import correct_set, edges
from tests.testing import shared_data

TREE = {  # entity: animal (dog: beagle, husky; cat), thing (car, truck)
    "entity": [], "animal": ["entity"], "thing": ["entity"], "dog": ["animal"], "beagle": ["dog"], "husky": ["dog"],
    "cat": ["animal"], "car": ["thing"], "truck": ["thing"],
}  # fmt: skip
LABELS = ["beagle", "husky", "cat", "car", "truck"]


def nearest(truth, size):
    return correct_set(truth, LABELS, edges(TREE), size)


def precision(ranking, truth):
    found = metrics.load("hierarchical_precision").compute(predictions=[ranking], references=[truth], parents=TREE)
    return {int(key.rpartition("_")[2]): value for key, value in found.items()}


def test_correct_sets_by_hand():
    assert nearest("beagle", 1) == {"beagle"}
    assert nearest("beagle", 2) == {"beagle", "husky"}  # two edges away, over dog
    assert nearest("beagle", 3) == {"beagle", "husky", "cat"}
    assert nearest("beagle", 4) == set(LABELS)  # car and truck are equally far
    assert nearest("cat", 2) == {"cat", "beagle", "husky"}  # both breeds are three away
    assert nearest("dog", 1) == {"beagle", "husky"}  # a node that is no label itself


def test_precision_by_hand():
    assert precision(["husky", "beagle", "car", "cat", "truck"], "beagle") == {1: 0.0, 2: 1.0, 5: 1.0}
    assert precision(["cat", "car", "beagle", "husky", "truck"], "cat") == {1: 1.0, 2: 0.5, 5: 1.0}


def test_precision_lies_between_0_and_1_and_is_1_of_all_labels():
    for truth in LABELS:
        for turn in range(5):
            found = precision(LABELS[turn:] + LABELS[:turn], truth)
            assert all(0 <= value <= 1 for value in found.values())
            assert found[5] == 1


def test_precision_at_one_is_whether_the_first_label_is_right():
    for truth in LABELS:
        for turn in range(5):
            ranking = LABELS[turn:] + LABELS[:turn]
            assert precision(ranking, truth)[1] == (ranking[0] == truth)


def test_hits_grow_with_k():
    labels = [f"label {number}" for number in range(25)]
    rankings = [labels[turn:] + labels[:turn] for turn in range(25)]
    found = metrics.load("zero_shot").compute(predictions=rankings, references=["label 3"] * 25)
    hits = [found[f"hit_{depth}"] for depth in (1, 2, 5, 10, 20)]
    assert hits == [depth / 25 for depth in (1, 2, 5, 10, 20)]
    assert found.keys() == {f"hit_{depth}" for depth in (1, 2, 5, 10, 20)}


def test_more_labels_to_choose_from_never_help():
    """DeViSE+1K is at most DeViSE-0: of the same scores, a larger list of labels has no better rank of the truth."""
    scores = {"beagle": 0.4, "husky": 0.1, "cat": 0.6, "car": 0.5, "truck": 0.2}
    unseen = ["beagle", "husky", "car"]
    for truth in unseen:
        of_unseen, of_all = (sorted(names, key=scores.get, reverse=True) for names in (unseen, LABELS))
        few, many = (
            metrics.load("zero_shot").compute(predictions=[ranking], references=[truth])
            for ranking in (of_unseen, of_all)
        )
        assert all(many[key] <= few[key] for key in few)


def test_both_metrics_agree():
    rankings = [["husky", "beagle", "car", "cat", "truck"], LABELS]
    given = {"predictions": rankings, "references": ["beagle", "car"], "parents": TREE}
    alone, together = (metrics.load(name).compute(**given) for name in ("hierarchical_precision", "zero_shot"))
    assert together == alone | {"hit_1": 0.0, "hit_2": 0.5, "hit_5": 1.0}


def test_wordnet_has_one_root_and_a_path_between_any_two_classes():
    folder = shared_data("imagenet_hierarchy")
    rows = [json.loads(line) for line in (folder / "is_a.jsonl").read_text().splitlines()]
    parents = {row["wnid"]: row["parents"] for row in rows}
    classes = [json.loads(line)["wnid"] for line in (folder / "classes.jsonl").read_text().splitlines()]
    assert [node for node, above in parents.items() if not above] == ["n00001740"]
    assert correct_set("n01440764", classes, edges(parents), 1000) == set(classes)
    assert correct_set("n01440764", classes, edges(parents), 2) >= {"n01440764", "n01443537"}  # tench and goldfish


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"predictions": ["cat"], "references": ["cat"]}, "prediction 0 is 'cat': give the names of all labels"),
        ({"predictions": [LABELS], "references": [3]}, "reference 0 is 3: give the name"),
        ({"predictions": [LABELS, LABELS[:2]], "references": ["cat", "cat"]}, "prediction 1 ranks other labels"),
        ({"predictions": [[*LABELS, "zebra"]], "references": ["cat"]}, "label 'zebra' is not in the hierarchy"),
    ],
)
def test_what_is_no_ranking_is_refused(given, message):
    with pytest.raises(DataError, match=message):
        metrics.load("hierarchical_precision").compute(**given, parents=TREE)
