"""All metrics as `evaluate.Metric`s: one pass, worked examples, adding in pieces, refusals, no files, no network."""

import json
import math
import multiprocessing
import subprocess
import sys

import evaluate
import pytest

import hfmm
from hfmm import metrics
from hfmm.errors import DataError, UsageError
from tests.metrics.peers import coco_scores, coco_tokenize
from tests.metrics.samples import awkward_samples, samples
from tests.metrics.test_others import OBJECTS
from tests.testing import shared_data

BLEU = ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]
ALONE = ("likelihood", "inception_score", "recognized_samples")  # without references
CAPTION = [*BLEU, "rouge_l", "cider", "cider_d"]


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_loads_and_says_what_it_is(name):
    metric = hfmm.metrics.load(name)
    assert isinstance(metric, evaluate.Metric)
    assert metric.name == name
    assert metric.description
    assert metric.citation or name in ("caption", "exact_objects", "exact_scene")
    assert "predictions" in metric.inputs_description
    assert set(metric.features[0]) == {"predictions"} | ({"references"} if name not in ALONE else set())


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown metric 'cidr': did you mean 'cider'"):
        metrics.load("cidr")


@pytest.mark.parametrize("make", [samples, awkward_samples])
@pytest.mark.parametrize("tokenizer", ["none", "ptb"])
def test_caption_is_all_of_them_in_one_pass(tokenizer, make):
    predictions, references = make(100, seed=6)
    options = {"predictions": predictions, "references": references, "tokenizer": tokenizer, "per_caption": True}
    found = metrics.load("caption").compute(**options, training=predictions[:30])
    meteor = {key for key in found if key.startswith("meteor") and not key.endswith("_per_caption")}
    assert [key for key in found if not key.endswith("_per_caption")] == [*CAPTION, *meteor, "novelty"]
    assert len(meteor) == 1
    without = metrics.load("caption").compute(**options, meteor=False)
    assert found.keys() - without.keys() == {*meteor, f"{min(meteor)}_per_caption", "novelty", "novelty_per_caption"}
    for name in ("bleu", "rouge_l", "cider", "cider_d", "meteor"):
        expected = metrics.load(name).compute(**options)
        expected.pop("stages", None)
        assert {key: found[key] for key in expected} == expected
    assert found["novelty"] == metrics.load("novelty").compute(**options, training=predictions[:30])["novelty"]
    assert all(len(found[f"{key}_per_caption"]) == 100 for key in CAPTION)


def test_caption_adds_strict_scores_where_objects_are_given():
    said = ["a red ring", "a red heart and a blue ring"]
    given = {"predictions": said, "references": [["a ring"], ["a heart"]], "meteor": False}
    found = metrics.load("caption").compute(**given, objects=OBJECTS)
    assert [*found] == [*CAPTION, "exact_objects", "exact_scene"]
    assert found["exact_objects"] == found["exact_scene"] == 0.5
    with pytest.raises(UsageError, match="2 predictions but objects of 1 pictures"):
        metrics.load("caption").compute(predictions=said, references=[["a"], ["b"]], objects=OBJECTS[:1])


def test_worked_example_of_nlg_eval():
    folder = shared_data("caption_metrics") / "nlg_eval_example"
    lines = [(folder / f"{name}.txt").read_text().splitlines() for name in ("hyp", "ref1", "ref2")]
    expected = json.loads((folder / "expected.json").read_text())
    found = metrics.load("caption").compute(predictions=lines[0], references=list(zip(*lines[1:], strict=True)))
    published = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]
    assert [round(found[key], 6) for key in CAPTION[:6]] == [expected[key] for key in published]


def test_worked_example_of_coco_caption():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(shared_data("caption_metrics") / "coco_fakecap_with_refs.parquet")
    predictions, references = table["candidate"].to_pylist(), table["references"].to_pylist()
    found = metrics.load("caption").compute(predictions=predictions, references=references, tokenizer="ptb")
    said = coco_tokenize(predictions)
    truth = iter(coco_tokenize([text for texts in references for text in texts]))
    total, _ = coco_scores(said, [[next(truth) for _ in texts] for texts in references])
    assert all(math.isclose(found[key], total[key], abs_tol=1e-9) for key in total)


def test_a_thousand_random_captions_as_in_coco_caption_with_its_tokenizer():
    predictions, references = awkward_samples(1000, seed=7)
    marks = [" .", "!", ", it's", " (U.S.)", ' "x"', " don't", " 1/2", "\u2026", " \u201cy\u201d", " B.", "-z", ""]
    predictions = [text + marks[i % 12] for i, text in enumerate(predictions)]
    references = [[text + marks[(i + j) % 12] for j, text in enumerate(texts)] for i, texts in enumerate(references)]
    found = metrics.load("caption").compute(
        predictions=predictions, references=references, tokenizer="ptb", per_caption=True
    )
    said = coco_tokenize(predictions)
    truth = iter(coco_tokenize([text for texts in references for text in texts]))
    total, each = coco_scores(said, [[next(truth) for _ in texts] for texts in references])
    for key in total:
        assert math.isclose(found[key], total[key], abs_tol=1e-9)
        assert found[f"{key}_per_caption"] == pytest.approx(list(each[key]), abs=1e-9)


def test_pieces_add_up():
    predictions, references = samples(30, seed=8)
    whole = metrics.load("caption").compute(predictions=predictions, references=references)
    metric = metrics.load("caption")
    metric.add_batch(predictions=predictions[:10], references=references[:10])
    for prediction, texts in zip(predictions[10:20], references[10:20], strict=True):
        metric.add(prediction=prediction, reference=texts)
    assert len(metric) == 20
    assert metric.compute(predictions=predictions[20:], references=references[20:]) == whole
    assert len(metric) == 0


def test_metrics_combine():
    predictions, references = samples(20, seed=9)
    both = evaluate.combine([metrics.load("bleu"), metrics.load("cider")])
    both.add_batch(predictions=predictions, references=references)
    assert list(both.compute(tokenizer="ptb")) == [*BLEU, "cider"]


def test_one_reference_may_be_a_string():
    found = [
        metrics.load("caption").compute(predictions=["a dog", "a cat"], references=references)
        for references in (["a dog", "the cat"], [["a dog"], ["the cat"]])
    ]
    assert found[0] == found[1]


def test_one_example_and_empty_captions():
    found = metrics.load("caption").compute(predictions=["a dog runs off"], references=[["a dog runs off"]])
    assert found["bleu_4"] == pytest.approx(1, abs=1e-6)
    assert found["rouge_l"] == 1
    assert found["cider"] == 0
    for tokenizer in ("none", "ptb"):
        found = metrics.load("caption").compute(predictions=[""], references=[["a dog", ""]], tokenizer=tokenizer)
        assert all(math.isfinite(value) for value in found.values())


REFUSALS = {
    "3 predictions but 2 lists of references": {"predictions": ["a", "b", "c"], "references": [["a"], ["b"]]},
    "1 predictions but 0 lists of references": {"predictions": ["a"]},
    "prediction 1 has no references": {"predictions": ["a", "b"], "references": [["a"], []]},
    "prediction 1 is a int: give the caption as a string": {"predictions": ["a", 3], "references": [["a"], ["b"]]},
    "prediction 0 is a list: give": {"predictions": [["a"]], "references": [["a"]]},
    "the references of prediction 0 are not a list of strings: 7": {"predictions": ["a"], "references": [7]},
    "the references of prediction 0 are not a list of strings: [[": {"predictions": ["a"], "references": [[["a"]]]},
    "caption has nothing to score": {"predictions": [], "references": []},
    "unknown option 'tokeniser': did you mean 'tokenizer'": {
        "predictions": ["a"],
        "references": [["a"]],
        "tokeniser": "ptb",
    },
    "unknown tokenizer 'moses'": {"predictions": ["a"], "references": [["a"]], "tokenizer": "moses"},
}


@pytest.mark.parametrize("words", REFUSALS)
def test_refusals_are_one_clear_line(words):
    with pytest.raises((UsageError, DataError)) as caught:
        metrics.load("caption").compute(**REFUSALS[words])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_computing_nothing_is_refused():
    with pytest.raises(UsageError, match="bleu has nothing to score: add predictions first"):
        metrics.load("bleu").compute()


def test_a_refused_batch_leaves_what_was_added():
    metric = metrics.load("bleu")
    metric.add(prediction="a dog", reference=["a dog"])
    with pytest.raises(DataError, match="prediction 1 has no references"):
        metric.add_batch(predictions=["b"], references=[[]])
    assert len(metric) == 1
    assert metric.compute()["bleu_1"] == pytest.approx(1, abs=1e-6)


def _score(queue):
    found = metrics.load("caption").compute(predictions=["a dog"], references=[["a dog"]])
    queue.put(round(found["bleu_1"], 6))


def test_no_network_and_no_files_in_several_processes(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network here")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(tmp_path / "cache"))
    processes = multiprocessing.get_context("fork")
    queue = processes.SimpleQueue()
    children = [processes.Process(target=_score, args=(queue,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [queue.get() for _ in children] == [1.0] * 3
    assert list(tmp_path.iterdir()) == []


def test_loading_the_table_is_light():
    code = "import sys; from hfmm.metrics import METRICS; sys.exit(bool({'evaluate', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
