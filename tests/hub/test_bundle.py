"""Code beside the weights; that it loads without hfmm is tested with each architecture (`tests/testing_hub.py`)."""

import json
import re
from pathlib import Path

import pytest
from transformers import CLIPConfig, PreTrainedConfig, ResNetConfig
from transformers.dynamic_module_utils import get_imports, get_relative_imports

import hfmm
from hfmm import catalogue
from hfmm.errors import UsageError
from hfmm.hub import flatten as flattening
from hfmm.hub.bundle import architectures, auto_maps, bundle, code_of, entry_of
from hfmm.hub.flatten import flatten
from hfmm.models.captioning.show_attend_tell.configuration_show_attend_tell import ShowAttendTellConfig

OWN = pytest.mark.parametrize("row", catalogue.own(), ids=lambda row: row.name)
ROOT = Path(__file__).resolve().parents[2]


@OWN
def test_each_file_names_its_version_and_license(row):
    for name, text in code_of([row]).items():
        first = text.splitlines()[0]
        assert first.startswith("# hfmm.")
        assert f"hfmm {hfmm.__version__}, license Apache-2.0" in first
        assert Path(name).stem in first


@OWN
def test_files_import_siblings_and_never_hfmm(row, tmp_path):
    code = code_of([row])
    for name, text in code.items():
        (tmp_path / name).write_text(text)
        assert {f"{module}.py" for module in get_relative_imports(tmp_path / name)} <= code.keys()
        assert "hfmm" not in get_imports(tmp_path / name)


@OWN
def test_all_auto_maps_name_the_one_entry(row):
    maps = auto_maps(row)
    assert {said.partition(".")[0] for auto_map in maps.values() for said in auto_map.values()} == {entry_of(row)}
    assert maps["config.json"].keys() == {"AutoConfig", *dict(row.auto)}


@OWN
def test_its_tests_keep_the_contract(row):
    classes = re.findall(r"^class Test\w+\((.*)\):", _tests_of(row), re.MULTILINE)
    tested = "Bundles|DrawsPictures"
    if not dict(row.auto).get("AutoModel", "").endswith("Backbone"):  # AutoBackbone alone loads no folder
        tested += "|ExtractsFeatures"
    assert [bases for bases in classes if "ModelTests" in bases and not re.search(tested, bases)] == []
    contract = "DrawsPictures" if row.pipeline else "Bundles"
    assert any(contract in bases for bases in classes)


def _tests_of(row):
    return (ROOT / "tests" / "models" / row.family / f"test_{row.name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("backbone", "names"),
    [
        ({"model_type": "hfmm_small_cnn"}, ["show_attend_tell", "small_cnn", "vgg"]),
        ({"model_type": "hfmm_vgg"}, ["show_attend_tell", "vgg"]),
        (ResNetConfig(out_features=["stage4"]), ["show_attend_tell", "vgg"]),
    ],
)
def test_nested_architectures_and_those_of_the_defaults_are_found(backbone, names):
    rows = architectures(ShowAttendTellConfig(backbone_config=backbone))
    assert [row.name for row in rows] == names
    entry = code_of(rows)["modeling_show_attend_tell.py"]
    assert 'AutoConfig.register("hfmm_vgg", VggConfig, exist_ok=True)' in entry
    assert "AutoBackbone.register(VggConfig, VggBackbone, exist_ok=True)" in entry
    assert 'register("hfmm_show_attend_tell"' not in entry  # which would win over a newer repository's code


def test_converters_and_presets_stay_at_home():
    code = code_of([catalogue.find("show_attend_tell")])
    assert [name for name in code if name.startswith(("convert_", "presets"))] == []


def test_what_transformers_has_needs_no_code(tmp_path):
    CLIPConfig().save_pretrained(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    assert bundle(tmp_path) == []
    assert (tmp_path / "config.json").read_bytes() == before


def test_an_architecture_of_another_hfmm_is_refused():
    class FutureConfig(PreTrainedConfig):
        model_type = "hfmm_from_the_future"

    with pytest.raises(UsageError, match="'hfmm_from_the_future' is not in the catalogue"):
        architectures(FutureConfig())


def test_a_second_bundle_is_the_same(tmp_path):
    ShowAttendTellConfig(backbone_config={"model_type": "hfmm_small_cnn"}).save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").write_text("{}")
    files = [{path.name: path.read_bytes() for path in tmp_path.iterdir()} for _ in range(2) if bundle(tmp_path)]
    assert files[0] == files[1]
    said = json.loads(files[0]["processor_config.json"])["auto_map"]
    assert said == {"AutoProcessor": "modeling_show_attend_tell.ShowAttendTellProcessor"}


# Flattening


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a file of a package named hfmm."""

    def write(name, text):
        path = tmp_path / "hfmm" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(flattening, "PACKAGE", tmp_path / "hfmm")
    write("models/b/part", "PART = 1\n")
    write("nn/block", "from .deeper import DEEP  # why\nBLOCK = DEEP\n")
    write("nn/deeper", "DEEP = 2\n")
    return write


def body(text):
    return text.partition("\n")[2]


def test_imports_of_every_form_become_flat(package):
    package(
        "models/a/main",
        "import os\nfrom hfmm.nn.block import (\n    BLOCK,\n    DEEP as D,\n)\nfrom ..b import part as other\n"
        "def late():\n    from ..b.part import PART  # a comment\n    return PART\n",
    )
    files = flatten(["hfmm.models.a.main"])
    assert sorted(files) == ["block.py", "deeper.py", "main.py", "part.py"]
    assert body(files["main.py"]) == (
        "import os\nfrom .block import BLOCK, DEEP as D\nimport sys\nfrom .part import __name__ as _part\n"
        "other = sys.modules[_part]\ndef late():\n    from .part import PART  # a comment\n    return PART\n"
    )
    assert body(files["block.py"]) == "from .deeper import DEEP  # why\nBLOCK = DEEP\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [("import hfmm.nn.block", "import names from it"), ("from hfmm.nn import nothing", "hfmm.nn is a package")],
)
def test_what_has_no_flat_form_is_refused(line, message, package):
    package("models/a/main", f"{line}\n")
    with pytest.raises(ValueError, match=message):
        flatten(["hfmm.models.a.main"])


def test_two_files_of_one_name_are_refused(package):
    package("models/a/part", "from ..b.part import PART\n")
    with pytest.raises(ValueError, match=r"two modules would be part\.py"):
        flatten(["hfmm.models.a.part"])
