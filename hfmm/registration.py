"""Makes the Auto classes of transformers know every ready architecture of the catalogue, by name.

`import hfmm` loads neither torch nor transformers. transformers' own auto mappings are tables of strings, whose classes
are imported when they are asked for; this module adds the catalogue's strings to them, once transformers' auto modules
have been loaded, whichever of the two packages is imported first. An architecture is imported when its class is first
asked for.

It touches what transformers does not promise, all of it here, and each has a test in `tests/test_registration.py`:

| touched | why |
|---|---|
| the loaders of `transformers.models.auto.*_auto` | to act right after one of these modules has been executed |
| `CONFIG_MAPPING_NAMES` | model type -> configuration class; shared by all the mappings |
| `_LazyAutoMapping._model_mapping` | model type -> class, of one Auto class |
| `_LazyAutoMapping._reverse_config_mapping` | configuration class -> model type; copied when a mapping is made |
| `sys.modules["transformers.models.hfmm_<name>"]` | the module in which a mapping looks for a class |
| `_class_to_module` of transformers and diffusers | where a pipeline looks for its component and its class |
| `sys.modules["diffusers.hfmm_<name>"]` | the module in which diffusers looks for a pipeline |
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # as typing's, which takes longer to import than all of hfmm
if TYPE_CHECKING:
    from typing import Any

    from hfmm.catalogue import Row

AUTO = "transformers.models.auto"
CONFIGURATION = f"{AUTO}.configuration_auto"
PROCESSORS = {  # Auto class -> its module, the mapping in it, and the file of an architecture that holds own classes
    "AutoProcessor": (f"{AUTO}.processing_auto", "PROCESSOR_MAPPING", "processing"),
    "AutoTokenizer": (f"{AUTO}.tokenization_auto", "TOKENIZER_MAPPING", "tokenization"),
    "AutoImageProcessor": (f"{AUTO}.image_processing_auto", "IMAGE_PROCESSOR_MAPPING", "image_processing"),
    "AutoFeatureExtractor": (f"{AUTO}.feature_extraction_auto", "FEATURE_EXTRACTOR_MAPPING", "feature_extraction"),
    "AutoVideoProcessor": (f"{AUTO}.video_processing_auto", "VIDEO_PROCESSOR_MAPPING", "video_processing"),
}
MODELING = f"{AUTO}.modeling_auto"
PIPELINES = "diffusers.pipelines.pipeline_loading_utils"
AUTO_MODULES = (CONFIGURATION, MODELING, PIPELINES, *(module for module, _, _ in PROCESSORS.values()))


def class_files(row: "Row") -> dict[str, str]:
    """The own classes of an architecture that the Auto classes know, each with the module that holds it."""
    files = {f"{row.stem}Config": f"{row.folder}.configuration_{row.name}"}
    files |= {name: f"{row.folder}.modeling_{row.name}" for _, name in row.auto}
    for auto, name in row.processors:
        if name.startswith(row.stem):  # others are upstream classes
            files[name] = f"{row.folder}.{PROCESSORS[auto][2]}_{row.name}"
    return files


def pipeline_module(row: "Row") -> str:
    """The module that holds the diffusers pipeline of an architecture that has one."""
    return f"{row.folder}.pipeline_{row.name}"


class ArchitectureModule(ModuleType):
    """Stands where a mapping looks for an architecture, and imports the file that holds the class it asks for."""

    def __init__(self, row: "Row") -> None:
        super().__init__(f"transformers.models.{row.model_type}", row.title)
        self.__dict__["_files"] = class_files(row) | ({row.pipeline: pipeline_module(row)} if row.pipeline else {})

    def __getattr__(self, name: str) -> "Any":
        files: dict[str, str] = self.__dict__["_files"]
        if name not in files:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(files[name]), name)


def register(module: ModuleType, rows: Sequence["Row"]) -> None:
    """Add rows to the mappings of one of transformers' auto modules, or to what diffusers knows."""
    if module.__name__ == CONFIGURATION:
        for row in rows:
            module.__dict__["CONFIG_MAPPING_NAMES"][row.model_type] = f"{row.stem}Config"
            sys.modules.setdefault(f"transformers.models.{row.model_type}", ArchitectureModule(row))
        return
    if module.__name__ == PIPELINES:
        _register_pipelines([row for row in rows if row.pipeline])
        return
    for row in rows:
        for auto, name in (*row.auto, *row.processors):
            mapping = _mapping(module, auto)
            if mapping is not None:
                mapping._reverse_config_mapping[f"{row.stem}Config"] = row.model_type
                mapping._model_mapping[row.model_type] = {"pil": name} if auto == "AutoImageProcessor" else name


def _register_pipelines(rows: Sequence["Row"]) -> None:
    """Let diffusers find the pipelines, and in transformers the models that are their components."""
    for row in rows:
        found = ArchitectureModule(row)
        sys.modules.setdefault(f"transformers.models.{row.model_type}", found)
        sys.modules[f"diffusers.{row.model_type}"] = found
        for package, name, place in (
            ("transformers", dict(row.auto)["AutoModel"], f"models.{row.model_type}"),
            ("diffusers", row.pipeline, row.model_type),
        ):
            vars(sys.modules[package]).setdefault("_class_to_module", {})[name] = place


def _mapping(module: ModuleType, auto: str) -> "Any":
    """The mapping of an Auto class, where it is this module that holds it."""
    if auto in PROCESSORS:
        home, mapping, _ = PROCESSORS[auto]
        return module.__dict__[mapping] if module.__name__ == home else None
    return module.__dict__[auto]._model_mapping if module.__name__ == MODELING else None


class AfterAutoModules:
    """A finder of `sys.meta_path` that lets the others find transformers' auto modules and acts when one has loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find one of the auto modules; everything else is left to the finders that follow."""
        if name not in AUTO_MODULES:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader.exec_module = _then_register(spec.loader.exec_module)  # type: ignore[method-assign,assignment]
                return spec
        return None


def _then_register(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def execute_and_register(module: ModuleType) -> None:
        from hfmm.catalogue import own

        execute(module)
        register(module, own())

    return execute_and_register


def install() -> None:
    """Register now with the auto modules that are loaded, and with the others as soon as they are."""
    if any(isinstance(finder, AfterAutoModules) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, AfterAutoModules())  # type: ignore[arg-type]
    for name in AUTO_MODULES:
        if name in sys.modules:
            from hfmm.catalogue import own

            register(sys.modules[name], own())
