"""Dialogues about scenes: true answers, turns that refer to what was said, balanced priors, the way through tables."""

import io
from collections import Counter, defaultdict
from itertools import product

import datasets
import pytest

from hfmm.data import load
from hfmm.data.doctor import diagnose
from hfmm.data.scenes import Scenes, dialogue, parse, questions, vocabulary, world
from hfmm.data.scenes.grammar import PLACES
from hfmm.errors import UsageError
from tests.data.test_scenes_questions import derived_answer

EVEN = (1, 1, 1, 1)  # the numbers of objects of the view


def turns_of(messages: list[dict]) -> list[tuple[str, str]]:
    """(question, answer) of each turn."""
    assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
    texts = [message["content"][-1]["text"] for message in messages]
    return list(zip(texts[::2], texts[1::2], strict=True))


def read_turns(split: str, size: int, **arguments) -> list[tuple[str, str, str, str]]:
    """(what was said before, question, kind, answer) of every turn."""
    found = []
    for example in Scenes(split, size=size, view="dialogue", **arguments):
        past = ""
        for (question, answer), kind in zip(turns_of(example["messages"]), example["kinds"], strict=True):
            found.append((past, question, kind, answer))
            past += f"{question} {answer} "
    return found


@pytest.fixture(scope="module")
def said():
    """The turns of 4,000 dialogues of the training set."""
    return read_turns("train", 4000)


def stands(relation: str, first: dict, second: dict) -> bool:
    (y0, x0), (y1, x1) = (divmod(PLACES.index(thing["place"]), 3) for thing in (first, second))
    return {"left": x0 < x1, "right": x0 > x1, "above": y0 < y1, "below": y0 > y1}[relation]


def derived(question: str, objects: list[dict], topic: dict | None) -> tuple[str, dict | None]:
    """The answer and what `it` is afterwards, from the words, the objects and what `it` is, without hfmm's own way."""
    words = question.removeprefix("and ").split()
    relation = next((word for word in words if word in ("left", "right", "above", "below")), "")
    if "other" in words:
        return str(sum(thing is not topic for thing in objects)), topic
    if "it" not in words:
        return opened(question, objects)
    for attribute in ("color", "shape"):
        if words[:2] == ["what", attribute]:
            return topic[attribute], topic
    if words[0] == "where":
        return topic["place"], topic
    if words[-3:] == ["large", "or", "small"]:
        return topic["size"], topic
    if words[:2] == ["what", "is"]:
        (found,) = [thing for thing in objects if stands(relation, thing, topic)]
        return f"{found['color']} {found['shape']}", found
    (other,) = [thing for thing in objects if [thing["color"], thing["shape"]] == words[-2:]]
    return ("yes" if stands(relation, topic, other) else "no"), topic


def opened(question: str, objects: list[dict]) -> tuple[str, dict | None]:
    """The same for a turn that names its object, or none."""
    words = question.split()
    if words[0] == "where":
        (found,) = [thing for thing in objects if [thing["color"], thing["shape"]] == words[-2:]]
        return found["place"], found
    answer = derived_answer(question, objects)
    said = {*words, answer}
    if words[0] == "how":
        meant = [thing for thing in objects if words[2] in ("shapes", thing["size"])]
    elif words[0] == "is":
        meant = [thing for thing in objects if {thing["color"], thing["shape"]} <= said]
    else:  # the place or the shape is asked with, color or shape is told
        place = next((place for _, _, place in parse(f"a red circle {question}")), None)
        meant = [thing for thing in objects if place in (None, thing["place"])]
        meant = [thing for thing in meant if said & {thing["color"], thing["shape"]} >= {answer} - {thing["place"]}]
        meant = [thing for thing in meant if place or thing["shape"] in words]
    return answer, meant[0] if len(meant) == 1 else None


@pytest.mark.parametrize("split", ["train", "test_heldout"])
def test_answers_rederived_from_the_objects(split):
    stills = Scenes(split, size=1500, fields=("objects",), objects=EVEN)
    for example, still in zip(Scenes(split, size=1500, view="dialogue"), stills, strict=True):
        topic = None
        for question, answer in turns_of(example["messages"]):
            right, topic = derived(question, still["objects"], topic)
            assert answer == right, (example["id"], question)


def test_the_picture_is_in_the_first_message_only():
    example = Scenes("test", view="dialogue")[0]
    assert set(example) == {"id", "image", "messages", "kinds"}
    first, *rest = example["messages"]
    assert [part["type"] for part in first["content"]] == ["image", "text"]
    assert all([part["type"] for part in message["content"]] == ["text"] for message in rest)


def test_the_dialogue_of_a_still():
    stills = Scenes("test", fields=("dialogue",), objects=EVEN)
    assert stills.features == {"dialogue": "messages"}
    assert [still["dialogue"] for still in stills] == [
        example["messages"] for example in Scenes("test", view="dialogue")
    ]


def test_dialogues_have_two_to_five_turns_and_refer_to_earlier_ones():
    lengths = Counter()
    for example in Scenes(size=1000, view="dialogue"):
        lengths[len(example["kinds"])] += 1
        referring = [kind for kind in example["kinds"] if kind not in dialogue.OPENINGS]
        assert example["kinds"][0] in dialogue.OPENINGS
        assert referring
        for (question, _), kind in zip(turns_of(example["messages"]), example["kinds"], strict=True):
            assert (kind in referring) == bool({"it", "other"}.intersection(question.split()))
    assert set(lengths) == {2, 3, 4, 5}
    assert min(lengths.values()) > 100


def test_dialogues_of_lone_objects_go_on_as_well():
    turns = read_turns("train", 300, objects=(1,))
    assert "size_of_it" in {kind for _, _, kind, _ in turns}
    assert not {"neighbor_of_it", "relation_of_it"}.intersection(kind for _, _, kind, _ in turns)


def test_every_kind_is_asked(said):
    kinds = Counter(kind for _, _, kind, _ in said)
    assert set(kinds) == set(dialogue.KINDS)
    assert min(kinds.values()) > 0.03 * len(said)


@pytest.mark.parametrize("left_out", [["size_of_it"], [*dialogue.NAMING][:3], [*dialogue.REFERENCES, "existence"]])
def test_kinds_that_are_left_out_are_never_asked(left_out):
    kinds = {kind for _, _, kind, _ in read_turns("train", 500, without=left_out)}
    assert kinds == {*dialogue.KINDS}.difference(left_out)
    still = Scenes(size=1, fields=("dialogue",), objects=EVEN, without=left_out)[0]
    assert still["dialogue"] == Scenes(size=1, view="dialogue", without=left_out)[0]["messages"]


@pytest.mark.parametrize(
    ("left_out", "problem"),
    [
        (["size_of_it", "hue_of_it"], "'hue_of_it'"),
        ("size_of_it", "must be a list of kinds"),
        ([*dialogue.NAMING], "must leave one of color_at_place"),
    ],
)
def test_kinds_that_cannot_be_left_out(left_out, problem):
    with pytest.raises(UsageError, match=problem):
        Scenes(view="dialogue", without=left_out)
    with pytest.raises(UsageError, match="the view 'vqa' has none"):
        Scenes(view="vqa", without=["count"])


def test_questions_on_their_own_follow():
    plain, longer = (Scenes(size=400, view="dialogue", further=most, without=["count"]) for most in (0, 3))
    stills = Scenes(size=400, fields=("objects",), objects=EVEN)
    added = Counter()
    for before, after, still in zip(plain, longer, stills, strict=True):
        first, turns = turns_of(before["messages"]), turns_of(after["messages"])
        assert turns[: len(first)] == first
        asked = [question for question, _ in turns[len(first) :]]
        assert len(set(asked).difference(question for question, _ in first)) == len(asked) <= 3
        for question, answer in turns[len(first) :]:
            assert answer == derived_answer(question, still["objects"])
        added.update(after["kinds"][len(first) :])
    assert set(added) == {*questions.KINDS} - {"count"}
    with pytest.raises(UsageError, match="'further' of scenes must be a whole number"):
        Scenes(view="dialogue", further=0.5)


def test_some_dialogues_end_with_a_description():
    plain, described = (Scenes(size=400, view="dialogue", descriptions=share) for share in (0, 0.25))
    stills = Scenes(size=400, fields=("captions",), objects=EVEN)
    ends = Counter()
    for before, after, still in zip(plain, described, stills, strict=True):
        *turns, (question, answer) = turns_of(after["messages"])
        if after["kinds"][-1] == "description":
            assert turns == turns_of(before["messages"])
            ends[question, still["captions"].index(answer)] += 1
        else:
            assert after["messages"] == before["messages"]
    assert set(ends) == set(product(dialogue.DESCRIBE, (0, 1)))
    assert 70 < ends.total() < 130
    for share in (2, "often"):
        with pytest.raises(UsageError, match="'descriptions' of scenes must be a number from 0 to 1"):
            Scenes(view="dialogue", descriptions=share)


def test_yes_is_as_frequent_as_no(said):
    for kind in ("existence", "relation_of_it"):
        answers = Counter(answer for _, _, asked, answer in said if asked == kind)
        assert set(answers) == {"yes", "no"}
        assert abs(answers["yes"] - answers["no"]) < 4 * answers.total() ** 0.5


def test_nothing_is_asked_twice(said):
    for past, question, _, _ in said:
        if "it" not in question.split():
            assert question.removeprefix("and ") not in past


def test_a_blind_model_stays_below_45_percent(said):
    """It remembers the best answer to all the words so far, else to the question, else to its kind."""
    answers = defaultdict(Counter)
    for past, question, kind, answer in said:
        for key in (past + question, question, kind):
            answers[key][answer] += 1
    test = read_turns("test", 1000)
    for ways in (lambda past, question, kind: (past + question, question, kind), lambda *known: known[1:]):
        right = 0
        for past, question, kind, answer in test:
            best = next(answers[key] for key in ways(past, question, kind) if key in answers)
            right += best.most_common(1)[0][0] == answer
        assert right / len(test) < 0.45


def test_answers_are_one_or_two_words_and_the_vocabulary_is_small(said):
    assert max(len(answer.split()) for _, _, _, answer in said) == 2
    words = {word for _, question, _, answer in said for word in f"{question} {answer}".split()}
    for example in Scenes(size=1400, view="vqa"):
        words |= {*example["question"].split(), example["answer"]}
    assert len(words.union(vocabulary(), questions.answers())) < 120


def test_held_out_pairs_are_spoken_of_only_where_they_are():
    held_out = [f"{color} {shape}" for shape, color in world.HELD_OUT]
    for split in ("train", "validation", "test"):
        texts = [f"{question} {answer}" for _, question, _, answer in read_turns(split, 1000)]
        assert not [text for text in texts for pair in held_out if pair in text]
    heldout = [question for _, question, _, _ in read_turns("test_heldout", 300)]
    assert any(pair in text for text in heldout for pair in held_out)


def test_numbers_of_objects_are_even_but_never_others_than_asked_for():
    scenes = Scenes(view="dialogue", objects=(0.9, 0.1))
    counts = Counter(len(scenes.scene(row).bodies) for row in range(1000))
    assert set(counts) == {1, 2}
    assert min(counts.values()) > 430


def test_sharding_and_views_of_datasets():
    scenes = Scenes("test", size=10, view="dialogue")
    assert scenes.to_dataset()[7]["messages"] == scenes[7]["messages"]
    stream = scenes.to_iterable(num_shards=2)
    assert [example["messages"] for example in stream] == [example["messages"] for example in scenes]
    assert [example["kinds"] for example in scenes.shard(2, 1)] == [scenes[row]["kinds"] for row in range(1, 10, 2)]


@pytest.mark.usefixtures("own_cache_and_no_network")
def test_a_dialogue_comes_back_from_a_table_as_it_was(tmp_path):
    scenes = Scenes("test", size=6, view="dialogue")
    rows = []
    for example in scenes:
        buffer = io.BytesIO()
        example["image"].save(buffer, "PNG")
        rows.append(example | {"image": {"bytes": buffer.getvalue(), "path": None}})
    table = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image(decode=False))
    table.to_parquet(tmp_path / "test.parquet")
    assert diagnose(str(tmp_path)) == []
    again = load(str(tmp_path), split="test")
    assert again.features == {"id": "text", **scenes.features}
    for row, (example, scene) in enumerate(zip(again, scenes, strict=True)):
        assert example["id"] == f"{scene['id']}-{row}"  # of a file's dialogues several may have the id of a picture
        assert {name: example[name] for name in ("messages", "kinds")} == {
            name: scene[name] for name in ("messages", "kinds")
        }
        assert example["image"].tobytes() == scene["image"].tobytes()
