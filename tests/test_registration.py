"""The Auto classes know the catalogue: in both import orders, lazily, and what that touches in transformers."""

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import transformers
from transformers.models.auto import auto_factory, configuration_auto, modeling_auto

from hfmm import catalogue, registration
from hfmm.catalogue import Row

ROOT = Path(__file__).resolve().parents[1]
READY = list(catalogue.own())
TOY = Row("toy", "Toy", "vision", 2020, "", "hfmm", (), (), "ready", (("AutoBackbone", "ToyBackbone"),))

KNOWS = """
import sys
import transformers
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoProcessor, AutoTokenizer
from transformers.models.auto import modeling_auto
from hfmm import catalogue, registration

assert not [name for name in sys.modules if ".modeling_" in name and name.startswith("hfmm.models.")]
for row in catalogue.own():
    config = AutoConfig.for_model(row.model_type)
    assert type(config).__module__ == f"{row.folder}.configuration_{row.name}", type(config).__module__
    for auto, name in row.auto:
        mapping = getattr(modeling_auto, auto)._model_mapping
        assert type(config) in mapping
        assert mapping[type(config)].__module__ == f"{row.folder}.modeling_{row.name}"
        assert mapping[type(config)].__name__ == name
    for auto, name in row.processors:
        home, mapping, _ = registration.PROCESSORS[auto]
        found = getattr(sys.modules[home], mapping)[type(config)]
        assert (found["pil"] if auto == "AutoImageProcessor" else found).__name__ == name

from importlib import reload
from transformers.models.auto import configuration_auto

configuration_auto.CONFIG_MAPPING_NAMES.pop("hfmm_vgg")
assert "hfmm_vgg" in reload(configuration_auto).CONFIG_MAPPING  # a module that is executed anew is registered anew
print("known")
"""


PIPELINES = """
import diffusers
from diffusers import DiffusionPipeline
from hfmm import catalogue, factory
import transformers  # last: importing diffusers executes it a second time

rows = [row for row in catalogue.own() if row.pipeline]
assert rows
for row in rows:
    assert getattr(diffusers, row.pipeline) is factory.pipeline_class(row)
    assert getattr(transformers, dict(row.auto)["AutoModel"]) is factory.model_class(row, "AutoModel")
print("known")
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "first",
    [
        "import hfmm",
        "from transformers import AutoConfig; import hfmm",
        "from transformers import AutoModel, AutoProcessor; import hfmm",
    ],
)
def test_the_auto_classes_know_every_ready_architecture_whichever_is_imported_first(first):
    assert run(first + KNOWS).endswith("known")


@pytest.mark.parametrize(
    "first", ["import hfmm; import diffusers", "from diffusers import DiffusionPipeline; import hfmm"]
)
def test_diffusers_knows_every_pipeline_and_its_component_whichever_is_imported_first(first):
    assert run(first + PIPELINES).endswith("known")


def test_importing_hfmm_loads_neither_torch_nor_transformers():
    loaded = set(run("import hfmm, sys; print(*sys.modules)").split())
    assert loaded.isdisjoint(("torch", "transformers", "numpy", "PIL", "datasets", "yaml", "huggingface_hub"))
    assert [name for name in loaded if name.startswith("transformers.")] == []


def test_public_names_resolve_lazily():
    code = "import hfmm, sys; hfmm.list_architectures(); print('torch' in sys.modules, *sorted(hfmm.__all__))"
    names = (
        "LlavaChat __version__ create_model create_processor evaluate explain list_architectures load_data metrics "
        "publish reproduce train"
    )
    assert run(code) == f"False {names}"
    import hfmm

    assert set(hfmm.__all__) <= set(dir(hfmm))
    for name in hfmm.__all__:
        assert getattr(hfmm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        hfmm.trian  # noqa: B018


def test_a_saved_captioner_loads_with_every_auto_class(tmp_path):
    from hfmm.factory import create_model, create_processor

    model, processor = create_model("show_and_tell"), create_processor("show_and_tell")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert type(transformers.AutoConfig.from_pretrained(tmp_path)) is type(model.config)
    assert type(transformers.AutoModelForImageTextToText.from_pretrained(tmp_path)) is type(model)
    assert type(transformers.AutoModel.from_config(model.config)) is type(model.model)
    assert type(transformers.AutoProcessor.from_pretrained(tmp_path)) is type(processor)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    pictures = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert type(pictures) is type(processor.image_processor)
    assert pictures.to_dict() == processor.image_processor.to_dict()


def test_an_image_processor_is_found_by_model_type_alone(tmp_path):
    transformers.AutoConfig.for_model("hfmm_small_cnn").save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 64}}')
    found = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert type(found) is transformers.CLIPImageProcessorPil
    assert found.size["shortest_edge"] == 64


def test_a_backbone_is_built_from_its_configuration():
    config = transformers.AutoConfig.for_model("hfmm_small_cnn", hidden_sizes=[8, 16])
    assert type(transformers.AutoBackbone.from_config(config)).__name__ == "SmallCnnBackbone"
    assert type(transformers.AutoModel.from_config(config)).__name__ == "SmallCnnBackbone"


# What is touched in transformers: a new version that changes one of these fails here, by name.


def test_auto_modules_are_found_by_finders_whose_loader_executes_them():
    for name in registration.AUTO_MODULES:
        spec = find_spec(name)
        assert spec.loader.exec_module.__name__ == "execute_and_register"
        assert Path(spec.origin).is_file()


def test_other_modules_are_left_to_other_finders():
    finder = next(finder for finder in sys.meta_path if isinstance(finder, registration.AfterAutoModules))
    assert finder.find_spec("json", None) is None
    assert finder.find_spec("transformers.models.auto", None) is None


def test_installing_twice_changes_nothing():
    before = list(sys.meta_path)
    registration.install()
    assert sys.meta_path == before


def test_the_names_of_configurations_are_one_table_that_all_mappings_share():
    names = configuration_auto.CONFIG_MAPPING_NAMES
    assert configuration_auto.CONFIG_MAPPING._mapping is names
    assert modeling_auto.MODEL_MAPPING._config_mapping is names
    for home, mapping, _ in registration.PROCESSORS.values():
        assert getattr(import_module(home), mapping)._config_mapping is names
    for row in READY:
        assert names[row.model_type] == f"{row.stem}Config"


def test_mappings_hold_names_by_model_type_and_configurations_by_class_name():
    mapping = transformers.AutoModel._model_mapping
    assert mapping is modeling_auto.MODEL_MAPPING
    assert mapping._model_mapping["bert"] == "BertModel"
    assert mapping._reverse_config_mapping["BertConfig"] == "bert"
    for row in READY:
        assert mapping._reverse_config_mapping[f"{row.stem}Config"] == row.model_type
        for auto, name in row.auto:
            assert getattr(transformers, auto)._model_mapping._model_mapping[row.model_type] == name


def test_a_mapping_looks_for_a_class_in_the_module_of_its_model_type():
    for row in READY:
        assert configuration_auto.model_type_to_module_name(row.model_type) == row.model_type
        module = import_module(f".{row.model_type}", "transformers.models")
        assert isinstance(module, registration.ArchitectureModule)
        assert getattr(module, f"{row.stem}Config").__name__ == f"{row.stem}Config"
        assert not hasattr(module, "BertModel")


def test_names_from_transformers_itself_are_found_there():
    config = transformers.AutoConfig.for_model("hfmm_small_cnn")
    mapping = import_module("transformers.models.auto.image_processing_auto").IMAGE_PROCESSOR_MAPPING
    assert mapping[type(config)] == {"pil": transformers.CLIPImageProcessorPil}


def toy_modeling(names):
    """A module like transformers' modeling_auto, with one mapping of these names."""
    mapping = auto_factory._LazyAutoMapping(names, OrderedDict(resnet="ResNetBackbone"))
    module = ModuleType(registration.MODELING)
    module.AutoBackbone = type("AutoBackbone", (), {"_model_mapping": mapping})
    return module, mapping


def test_a_mapping_is_whole_after_it():
    module, mapping = toy_modeling({"resnet": "ResNetConfig", "hfmm_small_cnn": "SmallCnnConfig"})
    registration.register(
        module, [catalogue.find("small_cnn")._replace(auto=(("AutoBackbone", "SmallCnnBackbone"),), processors=())]
    )
    assert [kind.__name__ for kind in mapping.keys()] == ["ResNetConfig", "SmallCnnConfig"]  # noqa: SIM118
    assert [kind.__name__ for kind in mapping.values()] == ["ResNetBackbone", "SmallCnnBackbone"]
    assert len(mapping) == len(mapping.items()) == len(list(mapping)) == 2
    config = type(transformers.AutoConfig.for_model("hfmm_small_cnn"))
    assert mapping.get(config, None).__name__ == "SmallCnnBackbone"
    for twin in (pickle.loads(pickle.dumps(mapping)), copy.deepcopy(mapping)):
        assert twin[config] is mapping[config]


def test_an_architecture_that_cannot_be_imported_says_why(monkeypatch):
    names = {"hfmm_toy": "ToyConfig"}
    module, mapping = toy_modeling(names)
    registration.register(module, [TOY])
    monkeypatch.setitem(sys.modules, "transformers.models.hfmm_toy", registration.ArchitectureModule(TOY))
    with pytest.raises(ModuleNotFoundError, match=r"hfmm\.models\.vision\.toy"):
        mapping[type("ToyConfig", (), {})]


def test_own_processors_are_sought_in_the_file_of_their_kind():
    row = TOY._replace(
        processors=(
            ("AutoProcessor", "ToyProcessor"),
            ("AutoImageProcessor", "ToyImageProcessor"),
            ("AutoTokenizer", "TokenizersBackend"),
        )
    )
    assert registration.class_files(row) == {
        "ToyConfig": "hfmm.models.vision.toy.configuration_toy",
        "ToyBackbone": "hfmm.models.vision.toy.modeling_toy",
        "ToyProcessor": "hfmm.models.vision.toy.processing_toy",
        "ToyImageProcessor": "hfmm.models.vision.toy.image_processing_toy",
    }


def test_registering_by_hand_still_works():
    config = type(transformers.AutoConfig.for_model("hfmm_small_cnn"))
    with pytest.raises(ValueError, match="already used"):
        transformers.AutoConfig.register("hfmm_small_cnn", config)
    transformers.AutoConfig.register("hfmm_small_cnn", config, exist_ok=True)
    assert configuration_auto.CONFIG_MAPPING["hfmm_small_cnn"] is config
    del configuration_auto.CONFIG_MAPPING._extra_content["hfmm_small_cnn"]


# Names: a class name that transformers has, too, makes its mappings build the wrong model.

ENDINGS = ["Config", "Model", "PreTrainedModel", "Processor", "ImageProcessor", "Tokenizer", "Backbone", "Pipeline"]
HEADS = [name.removeprefix("AutoModel") for name in dir(transformers) if name.startswith("AutoModelFor")]


def class_names(row):
    """What an architecture's classes are called, and before it is built, what they may be called."""
    if row.status != "ready":
        return {row.stem + ending for ending in [*ENDINGS, *HEADS, "ForConditionalGeneration"]}
    names = set()
    for path in (ROOT / row.folder.replace(".", "/")).glob(f"*_{row.name}.py"):
        if not path.name.startswith("convert_"):
            module = import_module(f"{row.folder}.{path.stem}")
            names |= {
                name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
            }
    return names


def test_no_class_name_exists_in_transformers():
    upstream = set(transformers.__all__)  # its own names: `dir` gives registered ones as well
    clashes = {row.name: class_names(row) & upstream for row in catalogue.ROWS if row.origin == "hfmm"}
    assert {name: found for name, found in clashes.items() if found} == {}


def test_no_class_name_exists_in_diffusers():
    diffusers = pytest.importorskip("diffusers", reason="the diffusion extra is not installed")
    upstream = set(diffusers.__all__)
    clashes = {row.name: class_names(row) & upstream for row in catalogue.ROWS if row.origin == "hfmm"}
    assert {name: found for name, found in clashes.items() if found} == {}


def test_model_types_are_ours_alone():
    with_prefix = {name for name in configuration_auto.CONFIG_MAPPING_NAMES if name.startswith("hfmm")}
    assert with_prefix == {row.model_type for row in READY}
    for row in READY:
        kind = type(transformers.AutoConfig.for_model(row.model_type))
        assert kind.model_type == row.model_type
