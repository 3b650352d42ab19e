"""METEOR: examples by hand, what happens without the tables, and the Java program where it can run."""

import random
import shutil
import subprocess

import numpy as np
import pytest

from hfmm import metrics
from hfmm.errors import DataError
from hfmm.metrics import meteor_tables
from hfmm.metrics.meteor import meteor, score
from hfmm.metrics.meteor_words import normalize
from hfmm.metrics.ptb import tokenize
from tests.testing import shared_data


def exact_stem(predictions, references):
    total, each = meteor(predictions, references, "meteor_exact_stem", None)
    return total["meteor_exact_stem"], each["meteor_exact_stem"]


def test_a_sentence_that_is_its_reference_is_perfect():
    assert exact_stem(["a man rides a wave"], [["a man rides a wave"]])[0] == 1


def test_chunks_and_function_words_by_hand():
    # 'a' is a function word, 'dog', 'cat', 'ball' are not; 'a dog' matches in one chunk
    # precision 1 (.75 + .25) / (2 * .75 + .25) for "a dog cat", recall the same for "a dog ball"
    share = 1 / 1.75
    expected = share * (1 - 0.6 * (1 / 2) ** 0.2)
    assert exact_stem(["a dog cat"], [["a dog ball"]])[0] == pytest.approx(expected, abs=1e-12)


def test_two_chunks_are_punished():
    assert exact_stem(["dog cat"], [["cat dog"]])[0] == pytest.approx(0.4, abs=1e-12)  # 1 - 0.6 * (2 / 2) ** 0.2


def test_a_stem_weighs_six_tenths():
    assert exact_stem(["blicks"], [["blick"]])[0] == pytest.approx(0.6, abs=1e-12)


def test_the_best_reference_counts_and_counts_add_up():
    total, each = exact_stem(["dog", "cat"], [["ball", "dog"], ["cat ball"]])
    recall = 0.5
    second = recall / (0.85 + 0.15 * recall) * (1 - 0.6)  # 1 match, 1 chunk
    assert each == pytest.approx([1, second * 1], abs=1e-12)
    mean = 1 * (2 / 3) / (0.85 + 0.15 * 2 / 3)
    fragments = (0 + 1) / 2  # of the two chunks, that of the caption which is its reference does not count
    assert total == pytest.approx(mean * (1 - 0.6 * fragments**0.2), abs=1e-12)


def test_empty_captions_score_nothing():
    assert exact_stem(["", "a"], [["a"], [""]]) == (0, [0, 0])


def test_without_tables_it_has_another_name(monkeypatch):
    monkeypatch.setattr("hfmm.metrics.meteor.find_meteor", lambda: None)
    found = metrics.load("meteor").compute(predictions=["dogs"], references=[["dog"]])
    assert set(found) == {"meteor_exact_stem", "stages"}
    assert found["stages"] == ["exact", "stem"]


def test_a_wrong_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HFMM_METEOR", str(tmp_path))
    with pytest.raises(DataError, match="is not: name the folder of METEOR"):
        metrics.load("meteor").compute(predictions=["a"], references=[["a"]])


def test_a_small_table_of_paraphrases(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = tmp_path / "paraphrases.gz"
    table.write_bytes(gzip.compress(b"0.5\nprop up\nsave\n0.1\nsave\nprop up\n0.2\nup\nhigh\n"))
    for _ in range(2):  # read, then taken from the cache
        found = meteor_tables.Paraphrases(table)
        (said, empty, other) = found.phrases([["x", "prop", "up"], [], ["save", "save"]])
        assert [phrase[:2] for phrase in said] == [(2, 1), (1, 2)]
        assert empty == []
        assert [phrase[:2] for phrase in other] == [(0, 1), (1, 1)]
        assert found.ranks(said[1][2]) == {other[0][2]: 0}
        assert found.ranks(other[0][2]) == {said[1][2]: 0}
    assert len(list((tmp_path / "cache" / "hfmm").iterdir())) == 1


def installed():
    folder = meteor_tables.find_meteor()
    if folder is None:
        pytest.skip("METEOR is not installed: pip install pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed: apt install default-jre-headless")
    return folder


def java(folder, lines):
    command = ["java", "-jar", "-Xmx2G", meteor_tables.JAR, "-", "-", "-stdio", "-l", "en", "-norm"]
    text = "\n".join([*lines, ""])
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout.splitlines()


SETS = {  # captions of pictures -> file and column
    "flickr8k": ("flickr8k_text/captions.parquet", "captions"),
    "coco": ("coco_captions_text/karpathy_test.parquet", "captions"),
}


def captions(name, count):
    """Predictions, half of them of another picture, and the references of each."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file, column = SETS[name]
    pictures = parquet.read_table(shared_data(file), columns=[column])[column].to_pylist()
    draw = random.Random(0)
    predictions, references = [], []
    for number in range(count):
        texts = draw.choice(pictures)
        predictions.append(texts[0] if number % 2 else draw.choice(pictures)[0])
        references.append(texts[1:])
    truth = iter(tokenize([text for texts in references for text in texts]))
    return tokenize(predictions), [[next(truth) for _ in texts] for texts in references]


def test_the_formula_is_javas():
    folder, draw = installed(), np.random.default_rng(0)
    rows = draw.integers(1, 6, (200, 21)).astype(float)
    rows[:, [0, 10]] += 50
    lines = []
    for row in rows:
        matched = np.stack([row[2:10].reshape(4, 2), row[12:20].reshape(4, 2)], 2).ravel()
        sides = [row[0], row[10], row[1], row[11]]
        lines.append(" ".join(map(str, [*sides, *matched, row[20], row[2:10].sum(), row[12:20].sum()])))
    found = java(folder, [f"EVAL ||| {' ||| '.join(lines)}"])
    assert score(rows) == pytest.approx([float(value) for value in found[:-1]], abs=1e-9)
    assert score(rows.sum(0, keepdims=True))[0] == pytest.approx(float(found[-1]), abs=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_a_thousand_captions_as_in_java(name):
    folder = installed()
    predictions, references = captions(name, 1000)
    lines = [" ||| ".join(["SCORE", *texts, said]) for said, texts in zip(predictions, references, strict=True)]
    found = java(folder, [f"EVAL ||| {' ||| '.join(java(folder, lines))}"])
    total, each = meteor(predictions, references, "meteor", meteor_tables.load_tables(folder))
    expected = [float(value) for value in found]
    assert np.abs(np.array(each["meteor"]) - expected[:-1]).max() < 1e-6
    assert total["meteor"] == pytest.approx(expected[-1], abs=1e-6)


NORMALIZED = {
    "A man's t-shirt, e.g. U.S. size.": "a man 's t shirt , eg us size .",
    "Mr. Smith don't (wait...) 1,000 a,b 3.5": "mr. smith don 't ( wait ... ) 1,000 a , b 3.5",
    "-lrb- a -- b n't 's 1990's": "-lrb- a - b n 't ' s 1990 's",
    "end. more End. More": "end. more end . more",
    "No. 5 no. 5 u.k.-based": "no. 5 no . 5 uk based",
    "\u201cx\u201d it\u2019s 50% \u2013 $5": '" x " it \'s 50 % - $ 5',
}


@pytest.mark.parametrize("caption", NORMALIZED)
def test_words_are_javas(caption):
    assert " ".join(normalize(caption)) == NORMALIZED[caption]
