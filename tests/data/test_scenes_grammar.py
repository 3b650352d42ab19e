"""The words of scenes: captions, their parser, and the strict scores."""

import ast
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfmm.data.scenes import Scenes, grammar, judge, parse, read, score, vocabulary
from hfmm.data.scenes.grammar import COLORS, PLACES, SHAPES, Mention, relations_between

RED_CIRCLE = {"shape": "circle", "color": "red", "size": "large", "place": "top left"}
BLUE_STAR = {"shape": "star", "color": "blue", "size": "small", "place": "middle right"}


@pytest.fixture(scope="module")
def scenes():
    """Captions and objects of 10,000 scenes."""
    return list(Scenes(size=10_000, fields=("captions", "objects"), objects=(0.25, 0.25, 0.25, 0.25)))


def test_the_first_caption_of_10000_scenes_names_every_object_with_its_place_in_reading_order(scenes):
    for example in scenes:
        mentions = read(example["captions"][0]).mentions
        named = [(mention.shape, mention.color, mention.place) for mention in mentions]
        assert named == [(thing["shape"], thing["color"], thing["place"]) for thing in example["objects"]]
        assert [PLACES.index(mention.place) for mention in mentions] == sorted(
            PLACES.index(thing["place"]) for thing in example["objects"]
        )


def test_the_parser_accepts_every_caption_of_10000_scenes(scenes):
    assert not [caption for example in scenes for caption in example["captions"] if read(caption).faults]


def test_the_parser_returns_exactly_the_objects_named(scenes):
    pattern = re.compile(rf"({'|'.join(COLORS)}) ({'|'.join(SHAPES)})")
    for example in scenes:
        places = {(thing["shape"], thing["color"]): thing["place"] for thing in example["objects"]}
        for caption in example["captions"]:
            found = parse(caption)
            assert {(shape, color) for shape, color, _ in found} == {(s, c) for c, s in pattern.findall(caption)}
            assert all(place in (None, places[shape, color]) for shape, color, place in found)


def test_everything_that_captions_say_is_true(scenes):
    for example in scenes:
        for caption in example["captions"]:
            there = {(mention.shape, mention.color) for mention in read(caption).mentions}
            named = [thing for thing in example["objects"] if (thing["shape"], thing["color"]) in there]
            assert judge(caption, named) == (True, True), caption


def test_complete_captions_are_exact_and_the_others_are_shorter(scenes):
    for place, complete in enumerate((True, True, True, True, False)):
        captions = [example["captions"][place] for example in scenes if len(example["objects"]) > 1]
        objects = [example["objects"] for example in scenes if len(example["objects"]) > 1]
        assert score(captions, objects) == {"exact_objects": float(complete), "exact_scene": float(complete)}
    assert all(place is None for example in scenes for _, _, place in parse(example["captions"][2]))
    assert all(read(example["captions"][3]).relations for example in scenes if len(example["objects"]) > 1)


def test_the_second_caption_is_in_any_order(scenes):
    orders = {
        tuple(sorted(range(3), key=[PLACES.index(m.place) for m in read(example["captions"][1]).mentions].__getitem__))
        for example in scenes
        if len(example["objects"]) == 3
    }
    assert len(orders) == 6


def test_the_vocabulary_is_what_captions_say_and_under_120_words(scenes):
    said = {word for example in scenes for caption in example["captions"] for word in caption.split(" ")}
    assert said == set(vocabulary())
    assert vocabulary() == sorted(set(vocabulary()))
    assert len(vocabulary()) < 120


def test_splitting_at_spaces_tokenizes(scenes):
    for example in scenes:
        for caption in example["captions"]:
            assert re.fullmatch(r"([a-z]+|,)( ([a-z]+|,))*", caption)


def test_articles_are_english(scenes):
    text = " | ".join(caption for example in scenes for caption in example["captions"])
    assert re.findall(r"\ba orange|\ban (?!orange)", text) == []
    assert "an orange" in text


def test_wording_varies(scenes):
    text = " | ".join(example["captions"][0] for example in scenes)
    for words in ("one ", " small ", " large ", "there is ", "a picture with ", " and ", " , ", " with "):
        assert words in text
    for phrases in grammar.PLACE_PHRASES.values():
        assert len(phrases) >= 3
        assert all(phrase in text for phrase in phrases)


def test_place_phrases_name_one_cell_each():
    phrases = [phrase for forms in grammar.PLACE_PHRASES.values() for phrase in forms]
    assert len(set(phrases)) == len(phrases)
    for place, forms in grammar.PLACE_PHRASES.items():
        assert all(parse(f"a red circle {phrase}") == {("circle", "red", place)} for phrase in forms)


def test_reading_by_hand():
    reading = read("there is one large red circle above a blue star , an orange ring in the lower left corner")
    assert reading.mentions == (
        Mention("circle", "red", "large", None),
        Mention("star", "blue", None, None),
        Mention("ring", "orange", None, "bottom left"),
    )
    assert reading.relations == ((0, "above", 1),)
    assert reading.faults == ()


def test_capitals_full_stops_and_tight_commas_do_not_matter():
    caption = "A red circle in the upper left, a blue star on the right."
    assert parse(caption) == {("circle", "red", "top left"), ("star", "blue", "middle right")}
    assert judge(caption, [RED_CIRCLE, BLUE_STAR]) == (True, True)


@pytest.mark.parametrize(
    ("caption", "objects_right", "scene_right"),
    [
        ("a red circle in the upper left and a blue star on the right", True, True),
        ("a blue star on the right , one large red circle at the top left", True, True),
        ("a red circle and a blue star", True, True),
        ("a red circle to the left of a blue star", True, True),
        ("a red circle above a blue star", True, True),
        ("a red circle larger than a blue star", True, True),
        ("a red circle in the upper right and a blue star on the right", True, False),
        ("a red circle below a blue star", True, False),
        ("a blue star larger than a red circle", True, False),
        ("a small red circle and a blue star", True, False),
        ("a red circle in the upper lower left and a blue star", True, False),
        ("a red circle in the upper left", False, False),
        ("a red circle , a blue star , a green ring", False, False),
        ("a red circle , a red circle , a blue star", False, False),
        ("a blue circle and a red star", False, False),
        ("a red circle and a star", False, False),
        ("a red circle and a blue star and a green", False, False),
        ("a red circle and a small blue star and a dog", False, False),
        ("a red circle left of a blue star above", False, False),
        ("above a red circle and a blue star", False, False),
        ("in the middle a red circle and a blue star", False, False),
        ("", False, False),
    ],
)
def test_judging_by_hand(caption, objects_right, scene_right):
    assert judge(caption, [RED_CIRCLE, BLUE_STAR]) == (objects_right, scene_right)


def test_faults_say_what_cannot_be_read():
    assert read("a red circle and a star").faults == ("'star' out of place",)
    assert read("a circle above").faults == ("'circle' out of place", "'above' without a subject")
    assert read("a red circle above").faults == ("'above' without an object",)


def test_relations_compare_rows_and_columns():
    assert relations_between(RED_CIRCLE, BLUE_STAR) == ["left of", "above", "larger than"]
    assert relations_between(BLUE_STAR, RED_CIRCLE) == ["right of", "below"]
    same_column = BLUE_STAR | {"place": "bottom left"}
    assert relations_between(RED_CIRCLE, same_column) == ["above", "larger than"]


def test_scores_are_shares():
    captions = ["a red circle on the left", "a red circle at the top left", "a red ring"]
    assert score(captions, [[RED_CIRCLE]] * 3) == {"exact_objects": 2 / 3, "exact_scene": 1 / 3}


def test_sizes_are_judged_only_where_the_objects_have_one():
    bare = [{name: thing[name] for name in ("shape", "color", "place")} for thing in (RED_CIRCLE, BLUE_STAR)]
    assert judge("a small red circle and a blue star", bare) == (True, True)
    assert judge("a blue star larger than a red circle", bare) == (True, True)
    assert judge("a small red circle right of a blue star", bare) == (True, False)


@pytest.mark.parametrize(("captions", "objects"), [([], []), (["a red circle"], []), ([], [[RED_CIRCLE]])])
def test_scoring_needs_one_caption_a_picture(captions, objects):
    with pytest.raises(ValueError, match="one caption a picture"):
        score(captions, objects)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*vocabulary(), "dog", "<unk>"])).map(" ".join)))
def test_word_salad_never_raises(caption):
    assert {(mention.shape, mention.color, mention.place) for mention in read(caption).mentions} == parse(caption)
    verdict = judge(caption, [RED_CIRCLE, BLUE_STAR])
    assert verdict.objects or not verdict.scene
    if verdict.objects:
        assert {(shape, color) for shape, color, _ in parse(caption)} == {("circle", "red"), ("star", "blue")}


def test_the_grammar_imports_only_the_standard_library():
    tree = ast.parse(Path(grammar.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names
