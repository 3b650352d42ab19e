"""What is published: what is written, and what is refused."""

import json
import shutil

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, MambaConfig

import hfmm
from hfmm import cli
from hfmm.errors import AccessError, DataError, UsageError
from hfmm.hub import remote
from hfmm.hub.publish import publish
from tests.hub.small_run import ROWS, WEIGHTS, contents, make_run
from tests.testing_hub import BEAMS, bare, outcome


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "sat")


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, to be spoiled."""
    return shutil.copytree(finished, tmp_path / "sat")


# What is written


def test_a_run_becomes_weights_code_processor_card_and_scores(finished, tmp_path):
    assert publish(finished, "me/sat", local_dir=tmp_path / "out") == str(tmp_path / "out")
    names = contents(tmp_path / "out").keys()
    assert {name for name in names if not name.endswith(".py")} == {
        "config.json", "generation_config.json", WEIGHTS, "processor_config.json", "tokenizer.json",
        "tokenizer_config.json", "recipe.yaml", "results.json", "README.md", "LICENSE", ".eval_results/scenes.yaml",
        "images/show_attend_tell.png", "images/show_attend_tell_rsicd.png",
    }  # fmt: skip
    assert {"modeling_show_attend_tell.py", "modeling_small_cnn.py", "captioning.py"} <= names
    assert contents(tmp_path / "out")[WEIGHTS] == (finished / WEIGHTS).read_bytes()
    assert f"hfmm {hfmm.__version__}" in (tmp_path / "out" / "LICENSE").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_where_there_is_no_code_of_ours_the_license_speaks_of_weights_alone(tmp_path):
    hfmm.create_model("resnet").save_pretrained(tmp_path / "net")
    publish(tmp_path / "net", "me/net", local_dir=tmp_path / "out")
    notice = (tmp_path / "out" / "LICENSE").read_text()
    assert notice.startswith("README.md states the license of the weights")
    assert ".py" not in notice


def test_the_card_is_valid_and_its_numbers_are_those_of_the_run(finished, tmp_path):
    publish(finished, "me/sat", local_dir=tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md", ignore_metadata_errors=False)
    found = {(entry.dataset_type, entry.dataset_split, entry.metric_type): entry for entry in card.data.eval_results}
    assert {key: entry.metric_value for key, entry in found.items()} == {
        (row["data"], row["split"], name): value for row in ROWS for name, value in row["metrics"].items()
    }
    assert (card.data.license, card.data.library_name, card.data.model_name) == ("apache-2.0", "transformers", "sat")
    (line,) = [
        line for line in card.text.splitlines() if line.startswith("| scenes | test | 100 | tiny | measured here |")
    ]
    assert "| 1.250 |" in line
    assert "hfmm evaluate" in line
    assert 'AutoModelForImageTextToText.from_pretrained("me/sat", trust_remote_code=True)' in card.text
    assert "More Information Needed" not in card.text
    entries = yaml.safe_load((tmp_path / "out" / ".eval_results" / "scenes.yaml").read_text())
    assert [(entry["dataset"]["id"], entry["dataset"]["task_id"], entry["value"]) for entry in entries] == [
        ("scenes", f"{row['split']}_{name}", value) for row in ROWS for name, value in row["metrics"].items()
    ]


def test_a_saved_model_says_that_it_is_not_measured(tmp_path):
    hfmm.create_model("vgg").save_pretrained(tmp_path / "saved")
    hfmm.create_processor("vgg").save_pretrained(tmp_path / "saved")
    publish(tmp_path / "saved", "me/vgg", local_dir=tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md", ignore_metadata_errors=False)
    assert "Not measured." in card.text
    assert card.data.eval_results is None
    assert "from transformers import AutoImageProcessor, AutoModelForImageClassification" in card.text
    assert not (tmp_path / "out" / ".eval_results").exists()


@torch.no_grad()
def test_what_is_written_loads_without_hfmm(finished, tmp_path):
    publish(finished, "me/sat", local_dir=tmp_path / "out")
    inputs = {"pixel_values": torch.randn(2, 3, 64, 64), "labels": torch.tensor([[5, 6, 2], [7, 2, -100]])}
    save_file(inputs, tmp_path / "inputs")
    expected = outcome(AutoModelForImageTextToText.from_pretrained(finished).eval(), inputs, generate=True)
    bare().ask(
        where=str(tmp_path / "out"), auto="AutoModelForImageTextToText", processor="AutoProcessor",
        inputs=str(tmp_path / "inputs"), outputs=str(tmp_path / "outputs"), generate=BEAMS,
    )  # fmt: skip
    found = load_file(tmp_path / "outputs")
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@torch.no_grad()
def test_adapters_are_merged_on_request(finished, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = AutoModelForImageTextToText.from_pretrained(finished)
    targets = [name for name, part in base.named_modules() if isinstance(part, torch.nn.Linear)]
    model = get_peft_model(base, LoraConfig(r=2, target_modules=targets))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            value.normal_(std=0.1)
    model.eval().save_pretrained(tmp_path / "adapters")
    inputs = {"pixel_values": torch.randn(2, 3, 64, 64), "labels": torch.tensor([[5, 6, 2], [7, 2, -100]])}
    expected = model(**inputs)
    with pytest.raises(UsageError, match="add --merge"):
        publish(tmp_path / "adapters", "me/sat", local_dir=tmp_path / "out")
    publish(tmp_path / "adapters", "me/sat", local_dir=tmp_path / "out", merge=True)
    assert "adapter_model.safetensors" not in contents(tmp_path / "out")
    found = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").eval()(**inputs)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-4)


# What is refused


def spoil_weights(run, value):
    weights = load_file(run / WEIGHTS)
    next(iter(weights.values())).view(-1)[0] = value
    save_file(weights, run / WEIGHTS, {"format": "pt"})


def add(name, text):
    return lambda run: (run / name).write_text(text)


def change(field, value):
    def spoil(run):
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**config, field: value}))

    return spoil


def drop_weight(run):
    weights = load_file(run / WEIGHTS)
    save_file(dict(list(weights.items())[1:]), run / WEIGHTS, {"format": "pt"})


HOME = "/".join(["", "home", "ada", "pictures"])
SPOILED = {
    "not a number": (lambda run: spoil_weights(run, float("nan")), DataError, "is not finite"),
    "infinite": (lambda run: spoil_weights(run, float("inf")), DataError, "is not finite"),
    "truncated": (lambda run: (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes()[:-9]), DataError, "is damaged"),
    "a pickle": (add("training_args.bin", ""), DataError, r"training_args\.bin can hold a pickle"),
    "a pickle below": (add("checkpoints/optimizer.pt", ""), DataError, r"optimizer\.pt can hold a pickle"),
    "a token": (add("recipe.yaml", f"a: 1\nb: hf_{'a1' * 17}\n"), DataError, r"recipe\.yaml, line 2, holds a token"),
    "a home": (add("recipe.yaml", f"data: {HOME}\n"), DataError, r"recipe\.yaml, line 1, holds a home directory"),
    "no weights": (lambda run: (run / WEIGHTS).unlink(), UsageError, "no .safetensors file"),
    "no configuration": (lambda run: (run / "config.json").unlink(), UsageError, r"no config\.json"),
    "a weight is missing": (drop_weight, DataError, "not those of config.json: .* not there in the weights"),
    "another size": (change("vocab_size", 60), DataError, "not those of config.json: "),
    "no sense": (change("bos_token_id", 2), DataError, "describes no model .* must be three different words"),
    "another class": (change("architectures", ["Other"]), DataError, "has no class Other"),
    "half the results": (add("results.json", "[{"), DataError, r"results\.json is damaged"),
    "half a configuration": (add("config.json", '{"model_type": '), DataError, r"config\.json is damaged"),
    "another's model": (lambda run: MambaConfig(model_type="x").save_pretrained(run), UsageError, "no architecture of"),
    "a shard is missing": (
        add(f"{WEIGHTS}.index.json", '{"weight_map": {"a": "model-2.safetensors"}}'),
        DataError,
        r"names model-2\.safetensors",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_it_is_refused_in_one_line_and_nothing_is_written(what, run, tmp_path):
    spoil, kind, message = SPOILED[what]
    spoil(run)
    with pytest.raises(kind, match=message) as caught:
        publish(run, "me/sat", local_dir=tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sat"]


def test_the_home_of_whoever_publishes_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "ada")
    (run / "recipe.yaml").write_text(f"data: {tmp_path / 'ada' / 'pictures'}\n")
    with pytest.raises(DataError, match="a home directory"):
        publish(run, "me/sat", local_dir=tmp_path / "out")


def test_mistakes_of_the_call(finished, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no such run directory"):
        publish(tmp_path / "nothing", "me/sat", local_dir=tmp_path / "out")
    with pytest.raises(UsageError, match="no name of a repository"):
        publish(finished, "me/sat/too/much", local_dir=tmp_path / "out")
    with pytest.raises(UsageError, match="no low-rank adapters"):
        publish(finished, "me/sat", local_dir=tmp_path / "out", merge=True)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    with pytest.raises(UsageError, match="is not empty"):
        publish(finished, "me/sat", local_dir=tmp_path / "used")
    monkeypatch.setattr(remote, "get_token", lambda: None)
    with pytest.raises(AccessError, match="no token for the Hub"):
        publish(finished, "me/sat")


def test_the_command(finished, tmp_path, capsys):
    words = ["publish", finished, "--repo-id", "me/sat", "--local-dir", tmp_path / "out"]
    assert cli.main([str(word) for word in words]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    assert cli.main([str(word) for word in words]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert contents(tmp_path / "out").keys() >= {"README.md", WEIGHTS}
