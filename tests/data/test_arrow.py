"""Parquet and the Hub: memory-mapped rows, errors that name file and row, any process, no network."""

import pickle
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from torch.utils.data import DataLoader

from hfmm.data import load
from hfmm.errors import AccessError, DataError, ResourceError
from tests.data.files import captions_of, picture, write_lines, write_parquet

pytestmark = pytest.mark.usefixtures("own_cache_and_no_network")


@pytest.mark.parametrize(
    "names",
    [
        ["train.parquet", "val.parquet"],
        [
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/validation-00000-of-00001.parquet",
        ],
        ["train/0.parquet", "train/1.parquet", "dev/0.parquet"],
        ["train-a.parquet", "train-b.parquet", "valid-a.parquet"],
    ],
)
def test_layouts_of_parquet(tmp_path, names):
    for number, name in enumerate(names):
        write_parquet(tmp_path / "set" / name, 2, first=2 * number)
    train, validation = load(str(tmp_path / "set")), load(str(tmp_path / "set"), "val")
    assert captions_of(train) == [f"caption {row}" for row in range(2 * len(names) - 2)]
    assert captions_of(validation) == [f"caption {2 * len(names) - 2}", f"caption {2 * len(names) - 1}"]
    assert train[1]["id"] == "set-train-1"


def test_one_parquet_file_and_its_pixels(tmp_path):
    examples = load(str(write_parquet(tmp_path / "mine [1].parquet")))
    assert (len(examples), examples.split) == (4, "train")
    assert examples[2]["image"].tobytes() == picture(2).tobytes()


def test_errors_in_parquet_name_file_and_row(tmp_path):
    write_parquet(tmp_path / "set/data/train-00000-of-00002.parquet", 3)
    second = datasets.Dataset.from_dict(
        {"image": [{"bytes": b"junk", "path": None}, {"bytes": None, "path": None}], "captions": [["a"], ["b"]]}
    )
    second.to_parquet(tmp_path / "set/data/train-00001-of-00002.parquet")
    with pytest.raises(DataError, match=r"train-00001-of-00002.parquet row 1: no image$"):
        load(str(tmp_path / "set"))
    examples = load(str(tmp_path / "set"), on_bad_example="skip")
    with pytest.raises(DataError, match=r"train-00001-of-00002.parquet row 0: the picture is not a JPEG"):
        examples[3]


def test_parquet_that_is_none(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"train.parquet is not a readable parquet file"):
        load(str(tmp_path))


def test_parquet_with_damaged_pages(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", 50)
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=str(tmp_path)):
        [*load(str(tmp_path))]


def test_names_of_labels_and_labels_without(tmp_path):
    write_parquet(tmp_path / "train.parquet", 3, label=[1, -1, 0])
    examples = load(str(tmp_path))
    assert examples.label_names == ("cat", "dog")
    assert list(examples.column("label")) == [1, None, 0]


def test_two_processes_at_once(tmp_path):
    write_parquet(tmp_path / "train.parquet", 20)
    code = "import sys; from hfmm.data import load; print(len(load(sys.argv[1])), load(sys.argv[1])[7]['captions'][0])"
    root = Path(__file__).resolve().parents[2]
    environment = {"HF_DATASETS_CACHE": str(tmp_path / "both"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    assert [worker.communicate()[0] for worker in workers] == [b"20 caption 7\n"] * 2


def test_loading_workers_and_pickles_read_the_same(tmp_path):
    write_parquet(tmp_path / "set.parquet", 9)
    write_lines(tmp_path / "lines/train.jsonl", [{"captions": [f"line {row}"]} for row in range(9)])
    for name in ("set.parquet", "lines"):
        examples = load(str(tmp_path / name))
        here = captions_of(examples)
        assert captions_of(pickle.loads(pickle.dumps(examples))) == here
        loader = DataLoader(examples, batch_size=2, num_workers=2, collate_fn=captions_of)
        assert [caption for batch in loader for caption in batch] == here


def test_reduced_pictures_where_nothing_else_is_in_pixels(tmp_path):
    picture(0).resize((640, 480)).save(tmp_path / "0.jpg")
    write_lines(tmp_path / "metadata.jsonl", [{"file_name": "0.jpg", "text": "a"}])
    examples = load(str(tmp_path))
    assert (
        examples.sized(100, 100)[0]["image"].size == examples.shard(1, 0).sized(100, 100)[0]["image"].size == (160, 120)
    )
    assert examples[0]["image"].size == (640, 480)
    write_lines(tmp_path / "metadata.jsonl", [{"file_name": "0.jpg", "objects": [{"box": [0, 0, 600, 400]}]}])
    assert load(str(tmp_path)).sized(100, 100)[0]["image"].size == (640, 480)


def test_a_hub_data_set(monkeypatch):
    features = datasets.Features({"img": datasets.Image(), "caption": datasets.Value("string")})
    rows = datasets.Dataset.from_dict({"img": [picture(0), picture(1)], "caption": ["a", "b"]}, features=features)
    asked = []

    def fake(*names, **options):
        asked.append((names, options))
        return datasets.DatasetDict({"train": rows, "dev": rows.select(range(1))})

    monkeypatch.setattr(datasets, "load_dataset", fake)
    examples = load("someone/pictures", "validation", config="small", revision="0" * 40)
    assert asked == [(("someone/pictures", "small"), {"revision": "0" * 40})]
    assert (len(examples), examples[0]["captions"], examples[0]["id"]) == (1, ["a"], "pictures-validation-0")
    assert examples.where(0) == "someone/pictures validation row 0"


def test_a_hub_data_set_cannot_name_local_files(monkeypatch):
    features = datasets.Features({"image": datasets.Image(decode=False)})
    rows = datasets.Dataset.from_dict({"image": [{"bytes": None, "path": "/etc/passwd"}]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict({"train": rows}))
    with pytest.raises(DataError, match="this data set comes without its files"):
        load("someone/pictures", on_bad_example="skip")[0]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub"), DataError),
        (ConnectionError("Couldn't reach 'a/b' on the Hub (OfflineModeIsEnabled)"), AccessError),
        (PermissionError(13, "Permission denied"), AccessError),
        (OSError(28, "No space left on device"), ResourceError),
        (RuntimeError("Dataset scripts are no longer supported"), DataError),
    ],
)
def test_errors_of_the_hub_become_one_line(monkeypatch, error, kind):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(kind, match="a/b") as caught:
        load("a/b")
    assert "\n" not in str(caught.value)
