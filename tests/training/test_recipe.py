"""Recipes: YAML under the command line, and mistakes told with the nearest key."""

import pytest

from hfmm.errors import UsageError
from hfmm.training.flags import default_directory, recipe_of, usual_recipe
from hfmm.training.learning import PlayerSection, learning_rate
from hfmm.training.recipe import from_dict, parse_override, resolve

NAME = "show_attend_tell"


def test_round_trip_through_yaml(tmp_path):
    recipe = resolve(NAME)
    path = tmp_path / "default.yaml"
    path.write_text(recipe.to_yaml())
    assert resolve(NAME, str(path)) == recipe
    assert resolve(NAME, "hard").name == "hard"


def test_command_line_wins_over_file_over_recipe(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("max_steps: 5\ndata: {batch_size: 7}\nplayers: {model: {learning_rate: 3e-4}}\n")
    recipe = recipe_of(NAME, config=str(path), batch_size=9, overrides={"players.model.clip": 2})
    assert (recipe.max_steps, recipe.data.batch_size) == (5, 9)
    assert recipe.players["model"].learning_rate == 3e-4
    assert recipe.players["model"].clip == 2.0
    assert recipe.players["model"].optimizer == resolve(NAME).players["model"].optimizer


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_step": 5}, "unknown key of the recipe 'max_step': did you mean 'max_steps'?"),
        ({"data.batchsize": 5}, "unknown key of data 'batchsize': did you mean 'batch_size'?"),
        (
            {"players.model.optimizer": "rmsprob"},
            "unknown optimizer of player model 'rmsprob': did you mean 'rmsprop'?",
        ),
        ({"players.model.schedule": "cosin"}, "did you mean 'cosine'?"),
        (
            {"players.model.optimizer": "sgd", "players.model.nesterov": True},
            "players.model.nesterov needs a momentum: it is 0.0",
        ),
        ({"max_steps": "many"}, "max_steps is 'many', which is not int"),
        ({"max_steps": 2.5}, "max_steps is 2.5, which is not int"),
        ({"max_steps": 0}, "max_steps is 0: at least 1 is needed"),
        ({"data": 3}, "data is 3, where key: value pairs are expected"),
        ({"data.on_bad_example": "ignore"}, "unknown data.on_bad_example 'ignore'"),
    ],
)
def test_mistakes_are_told(overrides, message):
    with pytest.raises(UsageError) as caught:
        recipe_of(NAME, overrides=overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["max_steps", "=5", "data.name={"])
def test_overrides_that_cannot_be_read(text):
    with pytest.raises(UsageError):
        parse_override(text)


def test_numbers_in_yaml_may_have_exponents():
    assert parse_override("players.model.learning_rate=2e-3") == (["players", "model", "learning_rate"], 0.002)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'default'"):
        resolve(NAME, "defualt")


def test_recipe_of_another_architecture_is_refused(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("architecture: show_and_tell\n")
    with pytest.raises(UsageError, match="is a recipe of show_and_tell"):
        resolve(NAME, str(path))


def test_other_data_drop_the_options_of_the_recipes_own():
    assert recipe_of(NAME).data.options
    assert not recipe_of(NAME, data="some/folder").data.options


def test_directory_names_recipe_and_data():
    assert str(default_directory(NAME, "default", recipe_of(NAME))) == f"runs/{NAME}"
    other = recipe_of(NAME, data="some/folder")
    assert str(default_directory(NAME, "default", other)) == f"runs/{NAME}-folder"


@pytest.mark.parametrize(
    ("data", "recipe"),
    [(None, "default"), ("scenes", "default"), ("path/to/cifar10", "cifar10"), ("uoft-cs/cifar10", "cifar10"),
     ("photos", "real")],
)  # fmt: skip
def test_data_of_a_recipes_name_are_reproduced_by_it(data, recipe):
    assert usual_recipe("resnet", data) == recipe


def test_the_evaluations_options_win_over_those_of_the_data():
    recipe = recipe_of("clip", overrides={"data.options": {"captions": 3, "objects": [1]}})
    assert recipe.scored_options == {"captions": 2, "objects": [1], "distinct": True, "size": 200}


def test_schedules_are_pure_functions_of_the_step():
    section = PlayerSection(learning_rate=1.0, schedule="warmup_constant_linear", warmup=0.1, decay=0.5)
    rates = [learning_rate(section, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[50] == 1.0
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)
    cosine = PlayerSection(learning_rate=2.0, schedule="cosine")
    assert learning_rate(cosine, 50, 100) == pytest.approx(1.0)


def test_every_shipped_recipe_can_be_read_and_opens_with_four_comments():
    from hfmm import catalogue
    from hfmm.training.recipe import shipped

    found = 0
    for row in catalogue.ROWS:
        for path in shipped(row.name).values():
            found += 1
            heads = path.read_text().splitlines()[:4]
            assert [line.split(":")[0] for line in heads] == [
                "# Paper",
                "# Command",
                "# Hardware and duration",
                "# Reached",
            ]
            assert from_dict({**resolve(row.name, str(path)).to_dict()}).architecture == row.name
    assert found >= 2
