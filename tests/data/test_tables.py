"""Tables: JSON Lines and CSV, read where they lie, with the line of every problem."""

import pickle

import pytest

from hfmm.data import load
from hfmm.data.json_tables import MAX_LINE_BYTES, JsonLinesTable
from hfmm.data.tables import CsvTable
from hfmm.errors import DataError
from tests.data.files import captions_of, write_lines, write_pictures

pytestmark = pytest.mark.usefixtures("own_cache_and_no_network")


def test_json_lines_by_split(tmp_path):
    write_pictures(tmp_path, 2)
    for split in ("train", "dev"):
        rows = [{"photo": f"{row}.png", "sentences": [f"{split} {row}"]} for row in range(2)]
        write_lines(tmp_path / f"{split}.jsonl", rows)
    assert captions_of(load(str(tmp_path), "validation")) == ["dev 0", "dev 1"]
    assert captions_of(load(str(tmp_path / "dev.jsonl"), "validation")) == ["dev 0", "dev 1"]


def test_blank_lines_count_as_lines_only(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"captions": "one"}\n\n  \n{"captions": "two"}')
    examples = load(str(tmp_path / "a.jsonl"))
    assert captions_of(examples) == ["one", "two"]
    assert examples.where(1).endswith("a.jsonl line 4")


BROKEN_LINES = {
    b"{": "not valid JSON",
    b"[1]": "holds a list, not an object",
    b'{"captions": NaN}': "NaN is not JSON",
    b'{"captions": [-Infinity]}': "-Infinity is not JSON",
    b'{"captions": "\xff"}': "not UTF-8",
    b"[" * 100_000: "nested too deeply|not valid JSON",
    b"1" * 5000: "not valid JSON",
    b'{"captions": "' + b"x" * MAX_LINE_BYTES + b'"}': "longer than 16 MiB",
}


@pytest.mark.parametrize("line", BROKEN_LINES, ids=[str(key[:12]) for key in BROKEN_LINES])
def test_broken_lines_are_named_and_the_others_read(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"captions": "one"}\n' + line + b'\n{"captions": "three"}\n')
    with pytest.raises(DataError, match=f"a.jsonl line 2: .*({BROKEN_LINES[line]})"):
        load(str(path))
    examples = load(str(path), on_bad_example="skip")
    assert (examples[0]["captions"], examples[2]["captions"]) == (["one"], ["three"])
    with pytest.raises(DataError, match=r"a.jsonl line 2"):
        examples[1]


def test_a_byte_order_mark_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"captions": "one"}\n')
    with pytest.raises(DataError, match=r"line 1: the line starts with a byte order mark \(BOM\): save the file"):
        load(str(tmp_path / "a.jsonl"))


def test_columns_that_only_some_lines_have(tmp_path):
    rows = [{"captions": []}, {"captions": ["b"], "extra": 1}, {"captions": ["c"], "extra": None}]
    table = JsonLinesTable(write_lines(tmp_path / "a.jsonl", rows))
    assert table.kinds == {"captions": "texts", "extra": "number"}
    examples = load(str(tmp_path / "a.jsonl"), on_bad_example="skip")
    assert examples[2] == {"captions": ["c"], "extra": None, "id": "a-train-2"}


def test_texts_as_labels_take_their_numbers_from_all_splits(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"text": "t", "label": label} for label in ("dog", "cat")])
    write_lines(tmp_path / "test.jsonl", [{"text": "t", "label": "ant"}])
    examples = load(str(tmp_path))
    assert examples.label_names == ("ant", "cat", "dog")
    assert list(examples.column("label")) == [2, 1]


def test_numbers_as_labels_are_named_by_themselves(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"text": "t", "label": label} for label in (2, 0)])
    assert load(str(tmp_path)).label_names == ("0", "1", "2")


def test_own_ids_must_differ(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"id": number, "text": "t"} for number in (7, 8, 7)])
    with pytest.raises(DataError, match=r"line 3: id '7' is that of .*train.jsonl line 1 too"):
        load(str(tmp_path))
    write_lines(tmp_path / "train.jsonl", [{"id": number, "text": "t"} for number in (7, 8)])
    assert load(str(tmp_path))[1]["id"] == "8"


def test_a_file_that_is_gone_later(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"text": "t"}])
    examples = pickle.loads(pickle.dumps(load(str(path))))
    path.unlink()
    with pytest.raises(DataError, match="the file cannot be read any more"):
        examples[0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("file_name,text\n0.png\n", "a.csv line 2: 1 cells under a header of 2"),
        ("file_name,text\n0.png,\n", "line 2: no caption"),
        ('file_name,text\n0.png,"open\n', "line 2: not valid CSV"),
        ("text,text\na,b\n", "line 1: two columns have the same name"),
    ],
)
def test_broken_csv(tmp_path, content, problem):
    write_pictures(tmp_path, 1)
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=problem):
        load(str(tmp_path / "a.csv"))


def test_csv_cells_over_several_lines(tmp_path):
    (tmp_path / "a.csv").write_text('\ufefftext,label\n"two\nlines",x\nthree,y\n', encoding="utf-8")
    table = CsvTable(tmp_path / "a.csv")
    assert table.row(0) == {"text": "two\nlines", "label": "x"}
    assert table.where(1).endswith("line 4")


def test_csv_that_is_not_utf8(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text\nfine\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"a.csv is not UTF-8"):
        load(str(tmp_path / "a.csv"))
