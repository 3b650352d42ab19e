"""Questions about scenes: true answers, equal shares, balanced priors."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from hfmm.data.scenes import Scenes, parse, questions, world
from hfmm.data.scenes.grammar import PLACES
from hfmm.data.scenes.questions import KINDS


@pytest.fixture(scope="module")
def asked():
    """7,000 questions of the balanced training set."""
    return read_questions("train", 7000)


def read_questions(split: str, size: int, **arguments) -> list[dict[str, str]]:
    scenes = Scenes(split, size=size, view="vqa", **arguments)
    return [{name: example[name] for name in ("question", "answer", "kind")} for example in scenes]


def derived_answer(question: str, objects: list[dict]) -> str:
    """The answer worked out from the words of the question and the objects, without hfmm's own way to it."""
    place = next((place for _, _, place in parse(f"a red circle {question}")), None)
    named = re.findall(r"\b(?:the|an?) (\w+) (\w+)", question)
    found = [thing for color, shape in named for thing in objects if (thing["color"], thing["shape"]) == (color, shape)]
    if question.startswith("what shape"):
        return next(thing["shape"] for thing in objects if thing["place"] == place)
    if question.startswith("what color is the shape"):
        return next(thing["color"] for thing in objects if thing["place"] == place)
    if question.startswith("what color"):
        (color,) = [thing["color"] for thing in objects if thing["shape"] == question.split()[-1]]
        return color
    if question.startswith("how many"):
        size = question.split()[2]
        return str(sum(size in ("shapes", thing["size"]) for thing in objects))
    if question.startswith("is there"):
        return "yes" if found else "no"
    first, second = found
    if "larger" in question:
        return "yes" if (first["size"], second["size"]) == ("large", "small") else "no"
    (x0, y0), (x1, y1) = (divmod(PLACES.index(thing["place"]), 3)[::-1] for thing in (first, second))
    holds = {"left": x0 < x1, "right": x0 > x1, "above": y0 < y1, "below": y0 > y1}
    return "yes" if next(true for word, true in holds.items() if word in question.split()) else "no"


@pytest.mark.parametrize("split", ["train", "test_heldout"])
def test_answers_of_stills_rederived_from_the_objects(split):
    for example in Scenes(split, size=1000, fields=("objects", "questions")):
        for question in example["questions"]:
            assert question["answer"] == derived_answer(question["question"], example["objects"]), question


def test_answers_of_the_balanced_view_rederived_from_the_objects(monkeypatch):
    objects, ask = [], questions.ask

    def recorded(kind, things, draw):
        objects.append(things)
        return ask(kind, things, draw)

    monkeypatch.setattr(questions, "ask", recorded)
    for example in Scenes("test", size=1400, view="vqa"):
        assert example["answer"] == derived_answer(example["question"], objects[-1]), example["question"]


def test_stills_ask_one_question_of_each_kind_that_the_scene_allows():
    for example in Scenes(size=500, fields=("objects", "questions")):
        kinds = [question["kind"] for question in example["questions"]]
        assert len(set(kinds)) == len(kinds)
        sizes = {thing["size"] for thing in example["objects"]}
        assert ("relation" in kinds) == (len(example["objects"]) > 1)
        assert ("size" in kinds) == (len(sizes) > 1)
        assert {"shape_at_place", "color_at_place", "count", "existence"} <= set(kinds)


def test_each_kind_is_an_equal_share_of_the_balanced_set(asked):
    assert Counter(question["kind"] for question in asked) == dict.fromkeys(KINDS, 1000)
    blocks = [tuple(question["kind"] for question in asked[start : start + 7]) for start in range(0, 7000, 7)]
    assert len(set(blocks)) > 500  # the order within a block varies, so that strided shards are balanced, too


def test_kinds_about_two_objects_are_left_out_where_there_are_none():
    kinds = Counter(question["kind"] for question in read_questions("train", 500, objects=(1,)))
    assert kinds == dict.fromkeys(set(KINDS) - {"size", "relation"}, 100)


def test_answers_are_one_word_of_the_list(asked):
    assert {question["answer"] for question in asked} <= set(questions.answers())
    assert all(" " not in answer for answer in questions.answers())


@pytest.mark.parametrize("kind", ["existence", "size", "relation"])
def test_yes_is_as_frequent_as_no(asked, kind):
    answers = Counter(question["answer"] for question in asked if question["kind"] == kind)
    assert set(answers) == {"yes", "no"}
    assert abs(answers["yes"] - answers["no"]) < 120  # four standard deviations


@pytest.mark.parametrize("kind", ["color_of_shape", "shape_at_place", "color_at_place"])
def test_colors_and_shapes_are_equally_frequent(asked, kind):
    answers = Counter(question["answer"] for question in asked if question["kind"] == kind)
    assert len(answers) == 8
    assert max(answers.values()) < 200


def test_a_blind_model_stays_below_45_percent(asked):
    """The blind model remembers the most frequent answer to every question, by its words, else by its kind."""
    answers = defaultdict(Counter)
    for question in asked:
        for key in (question["question"], question["kind"]):
            answers[key][question["answer"]] += 1
    test = read_questions("test", 2100)
    right = 0
    for question in test:
        known = answers.get(question["question"]) or answers[question["kind"]]
        right += known.most_common(1)[0][0] == question["answer"]
    assert right / len(test) < 0.45


def test_a_blind_model_of_single_words_stays_below_45_percent(asked):
    """Naive Bayes over the words and pairs of words of the question."""
    counts, priors = defaultdict(Counter), Counter()

    def features(question):
        words = question["question"].split()
        return {*words, *pairwise(words), question["kind"]}

    for question in asked:
        priors[question["kind"], question["answer"]] += 1
        for feature in features(question):
            counts[question["kind"], question["answer"]][feature] += 1
    test = read_questions("test", 2100)
    right = 0
    for question in test:
        scores = {}
        for (kind, answer), number in priors.items():
            if kind == question["kind"]:
                score = number
                for feature in features(question):
                    score *= (counts[kind, answer][feature] + 1) / (number + 2)
                scores[answer] = score
        right += max(scores, key=scores.get) == question["answer"]
    assert right / len(test) < 0.45


def test_held_out_pairs_are_asked_about_only_where_they_are():
    held_out = [f"{color} {shape}" for shape, color in world.HELD_OUT]
    for split in ("train", "validation", "test"):
        texts = [question["question"] for question in read_questions(split, 2100)]
        assert not [text for text in texts for pair in held_out if pair in text]
    heldout = [question["question"] for question in read_questions("test_heldout", 700)]
    assert any(pair in text for text in heldout for pair in held_out)


def test_balanced_scenes_keep_the_splits_apart(monkeypatch):
    signatures, sample = [], world.sample

    def recorded(*arguments):
        scene = sample(*arguments)
        signatures.append(world.signature(scene))
        return scene

    monkeypatch.setattr(world, "sample", recorded)
    read_questions("test", 100)
    assert set(signatures) == {world.SPLITS.index("test")}
