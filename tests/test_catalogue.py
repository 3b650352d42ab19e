"""The catalogue: one table, strings only, in which every row of the inventory has its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hfmm
from hfmm import catalogue
from hfmm.catalogue import FAMILIES, ORIGINS, ROWS, STATUSES, TASKS, list_architectures
from hfmm.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
OWN = {
    "vision": "lenet5 alexnet vgg googlenet highway_network residual_attention unet yolo faster_rcnn setr segmenter "
    "facenet pretext small_cnn cifar_resnet",
    "text": "lstm_lm lstm_classifier seq2seq transformer word2vec keyword_conv",
    "captioning": "show_and_tell show_attend_tell lrcn visual_semantic_alignments bottom_up_top_down "
    "watch_listen_attend_spell",
    "alignment": "pmi_retrieval devise layer_norm_ranking char_cnn_rnn vilbert clip_towers",
    "generation": "autoencoder vae gan draw pixelcnn glow gan_cls stackgan dalle_dvae dalle unclip colorizer "
    "super_resolution",
    "generalist": "perceiver_io unified_io llava next_gpt attention_routing",
}
UPSTREAM = {
    "transformers": "resnet efficientnet vit swin yolos detr bert gpt2 clip vilt perceiver llava_1_5",
    "diffusers": "ddpm latent_diffusion",
}


def inventory():
    """Row number to the decks that it names; the file stands beside the repository where the papers' sheets are."""
    root = Path(os.environ.get("HFMM_SHARED") or ROOT.parent / "shared")
    path = root / "specs" / "INVENTORY.md"
    if not path.exists():
        pytest.skip(f"the inventory is not here ({path})")
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) > 4 and re.fullmatch(r"\d+[a-z]?", cells[1]):
            found[cells[1]] = {"S0", "S1", "S2", "S3", "S4"} if cells[3] == "all" else set(re.findall(r"S\d", cells[3]))
    return found


def test_every_name_that_was_decided_has_its_row():
    for family, names in OWN.items():
        assert {row.name for row in ROWS if row.origin == "hfmm" and row.family == family} == set(names.split())
    for origin, names in UPSTREAM.items():
        assert {row.name for row in ROWS if row.origin == origin} == set(names.split())
    assert sum(row.origin == "tool" for row in ROWS) == 14


def test_names_are_unique_and_in_snake_case():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)] == []
    assert len({row.stem for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_well_formed(row):
    assert row.family in FAMILIES
    assert row.origin in ORIGINS
    assert row.status in STATUSES
    assert set(row.tasks) <= set(TASKS)
    assert (row.family in ("tool", "reference")) == (row.family == row.origin)
    assert re.fullmatch(r"((arXiv:\d{4}\.\d{4,5}(, )?)+|[A-Z].*|van der .*|)", row.paper)
    assert 1990 < row.year < 2030
    assert all(re.fullmatch(r"S[0-4]:\d+[a-z]?", entry) for entry in row.source)
    assert len(set(row.source)) == len(row.source)
    assert bool(row.note) == (row.origin == "reference")
    assert bool(row.auto) == (row.origin in ("hfmm", "transformers", "diffusers") and row.status == "ready")


def test_the_tasks_are_those_of_the_interface():
    root = Path(os.environ.get("HFMM_SHARED") or ROOT.parent / "shared")
    if not (root / "INTERFACE.md").exists():
        pytest.skip(f"the interface is not here ({root})")
    text = (root / "INTERFACE.md").read_text(encoding="utf-8")
    listed = re.search(r"^Tasks: `(.*?)`", text, re.DOTALL | re.MULTILINE)[1]
    assert tuple(listed.replace("\n", " ").split(", ")) == TASKS


@pytest.mark.parametrize("number", range(1, 64))
def test_every_number_of_the_inventory_is_mapped(number):
    assert any(re.fullmatch(rf"S\d:{number}[a-z]?", entry) for row in ROWS for entry in row.source)


def test_every_row_of_the_inventory_is_mapped_to_a_deck_that_shows_it():
    rows = inventory()
    assert len(rows) == 100
    sources = {entry: row.name for row in ROWS for entry in row.source}
    assert sorted(rows.keys() - {entry.partition(":")[2] for entry in sources}) == []
    wrong = {entry: name for entry, name in sources.items() if entry[:2] not in rows.get(entry.partition(":")[2], ())}
    assert wrong == {}


def test_filters_choose_rows():
    assert {row.name for row in list_architectures(status="ready")} >= {"vgg", "small_cnn", "show_and_tell"}
    assert all(row.family == "captioning" for row in list_architectures(family="captioning"))
    assert [row.name for row in list_architectures(source="S1:2b")] == ["show_attend_tell"]
    assert {row.name for row in list_architectures(source="S3")} >= {"lenet5", "show_and_tell"}
    assert [row.name for row in list_architectures(task="lip-reading")] == ["watch_listen_attend_spell"]
    assert list_architectures() == ROWS
    assert hfmm.list_architectures is list_architectures


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        ({"family": "visoin"}, "vision"),
        ({"task": "image-caption"}, "image-captioning"),
        ({"status": "redy"}, "ready"),
        ({"source": "S1:2z"}, "S1:2"),
    ],
)
def test_an_unknown_filter_names_the_nearest(words, nearest):
    with pytest.raises(UsageError, match=f"did you mean '{nearest}"):
        list_architectures(**words)


def test_presets_of_ready_architectures_are_read_and_others_have_none():
    assert catalogue.find("show_and_tell").presets[:2] == ("tiny", "paper")
    assert catalogue.find("lrcn").presets == catalogue.find("fgsm").presets == catalogue.find("gpt_4").presets == ()
    assert catalogue.find("nothing") is None


def test_importing_the_catalogue_imports_nothing_but_typing():
    code = (
        "import sys, typing, hfmm; before = set(sys.modules); import hfmm.catalogue; print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "{'hfmm.catalogue'}"
