"""The rules of the house (ARCHITECTURE.md), read from the sources with ast."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from hfmm import catalogue
from tests.sources import (
    PACKAGE,
    ROOT,
    SHIPPED,
    SOURCES,
    TEXTS,
    TREES,
    docstrings,
    files,
    functions,
    imports,
    inside,
    module_of,
    name_of,
)

ARCHITECTURES = [row for row in catalogue.ROWS if row.origin == "hfmm"]
READY = list(catalogue.ready())

# Which way imports run

BASICS = ("hfmm.errors", "hfmm.files")
STRINGS = ("hfmm.catalogue", *BASICS)
LOADING = (
    "hfmm.factory", "hfmm.loading", "hfmm.device", "hfmm.registration", "hfmm.results", "hfmm.upstream", *STRINGS,
)  # fmt: skip
DATA = ("hfmm.data", *BASICS)
METRICS = ("hfmm.metrics", "hfmm.data.scenes.grammar", *BASICS)
EXPLANATION = ("hfmm.explanation", "hfmm.robustness", "hfmm.nn", *DATA, *LOADING, "hfmm.data")
SEARCH = ("hfmm.retrieval", *EXPLANATION)
EVALUATION = ("hfmm.evaluation", "hfmm.chat", *METRICS, *SEARCH)
HUB = ("hfmm.hub", "hfmm.registration", "hfmm.results", "hfmm.upstream", *STRINGS)
MAY_IMPORT = {  # the longest prefix of a file's own name holds; `hfmm` itself stands for `from hfmm import <module>`
    "hfmm.__init__": ("hfmm.registration",),
    "hfmm.__main__": ("hfmm.cli",),
    "hfmm.errors": (),
    "hfmm.files": ("hfmm.errors",),
    "hfmm.catalogue": BASICS,
    "hfmm.results": BASICS,
    "hfmm.registration": STRINGS,
    "hfmm.device": BASICS,
    "hfmm.upstream": STRINGS,
    "hfmm.factory": ("hfmm.nn", *DATA, *LOADING),
    "hfmm.loading": ("hfmm.nn", *LOADING),
    "hfmm.nn": ("hfmm.nn",),
    "hfmm.models": ("hfmm.nn",),
    "hfmm.data": DATA,
    "hfmm.metrics": METRICS,
    "hfmm.explanation": EXPLANATION,
    "hfmm.robustness": EXPLANATION,
    "hfmm.retrieval": SEARCH,
    "hfmm.evaluation": EVALUATION,
    "hfmm.training": ("hfmm.training", *EVALUATION, *HUB),
    "hfmm.chat": EXPLANATION,
    "hfmm.hub": HUB,
    "hfmm.quickstart": ("hfmm.training", *EVALUATION, *HUB),
    "hfmm.reproduction": ("hfmm.reproduction", "hfmm.training", *EVALUATION, *HUB),
    "hfmm.cli": ("hfmm",),
}
ONLY_STANDARD_LIBRARY = (
    "hfmm.__init__",
    "hfmm.errors",
    "hfmm.catalogue",
    "hfmm.registration",
    "hfmm.data.scenes.grammar",
)
IN_MODELS = {"torch", "transformers", "diffusers", "numpy", "PIL", "tokenizers", "huggingface_hub", "safetensors"}


def rule_of(module: str) -> tuple[str, ...]:
    """What a module may import of hfmm."""
    prefixes = [prefix for prefix in MAY_IMPORT if inside(module, (prefix,))]
    assert prefixes, f"{module} has no place in ARCHITECTURE.md: give it a line in MAY_IMPORT"
    return MAY_IMPORT[max(prefixes, key=len)]


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    module = module_of(path)
    allowed = rule_of(module)
    if module.startswith("hfmm.models."):
        allowed = (*allowed, ".".join(module.split(".")[:4]))  # its own folder
    wrong = [name for name in imports(path) if inside(name, ("hfmm",)) and not inside(name, allowed)]
    assert [name for name in wrong if name != "hfmm.__version__"] == []


def test_nothing_imports_scripts_spaces_or_tests() -> None:
    leaves = ("scripts", "spaces", "tests")
    assert {name_of(path) for path in PACKAGE for name in imports(path) if inside(name, leaves)} == set()


def test_the_light_modules_import_the_standard_library_only() -> None:
    light = [path for path in PACKAGE if inside(module_of(path), ONLY_STANDARD_LIBRARY)]
    light += [path for path in PACKAGE if path.name == "presets.py"]
    allowed = sys.stdlib_module_names | {"hfmm"}
    heavy = {name_of(path): name for path in light for name in imports(path) if name.partition(".")[0] not in allowed}
    assert heavy == {}
    at_import = [node for path in light for node in TREES[path].body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(light) >= 5
    assert at_import


@pytest.mark.parametrize("path", files("hfmm/models", "hfmm/nn"), ids=name_of)
def test_models_and_blocks_need_only_what_the_hub_can_expect(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imports(path)}
    assert packages - sys.stdlib_module_names - IN_MODELS == {"hfmm"} & packages


@pytest.mark.parametrize("path", files("hfmm/models", "hfmm/nn"), ids=name_of)
def test_models_and_blocks_import_in_a_form_that_can_be_bundled(path: Path) -> None:
    """Siblings as `from .x import y`, blocks as `from hfmm.nn.x import y`, both at the top of the file."""
    wrong = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names if inside(alias.name, ("hfmm",))]
        elif isinstance(node, ast.ImportFrom):
            named = all(alias.name != "*" and not alias.asname for alias in node.names)
            sibling = node.level == 1 and bool(node.module) and "." not in (node.module or "")
            block = node.level == 0 and re.fullmatch(r"hfmm\.nn\.\w+", node.module or "") is not None
            ours = node.level > 0 or inside(node.module or "", ("hfmm",))
            if ours and not (named and (sibling or block) and node in TREES[path].body):
                wrong.append(ast.unparse(node))
    assert wrong == []


def test_sibling_files_of_architectures_have_unique_names() -> None:
    bundled = [path.name for path in files("hfmm/models", "hfmm/nn") if path.name not in ("__init__.py", "presets.py")]
    assert sorted({name for name in bundled if bundled.count(name) > 1}) == []


# Size


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_are_short(path: Path) -> None:
    limit = 600 if path.name.startswith("modeling_") else 300
    length = len(path.read_text(encoding="utf-8").splitlines())
    if module_of(path) == "hfmm.catalogue":  # a table grows with the house: its rows are not counted
        table = next(
            node for node in TREES[path].body if isinstance(node, ast.AnnAssign) and "ROWS" in ast.unparse(node)
        )
        length -= (table.end_lineno or 0) - table.lineno
    assert length <= limit


def test_functions_are_short() -> None:
    lengths = {f"{name_of(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions()}
    assert {name: length for name, length in lengths.items() if length > 100} == {}
    assert sum(length <= 45 for length in lengths.values()) >= 0.9 * len(lengths)


# Words


def test_everything_is_annotated() -> None:
    missing = []
    for path, node in functions():
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        given += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        bare = [argument.arg for argument in given if not argument.annotation and argument.arg not in ("self", "cls")]
        if bare or (node.returns is None and node.name != "__init__"):
            missing.append(f"{name_of(path)}:{node.lineno} {node.name} {bare}")
    assert missing == []


def test_shared_code_names_no_architecture() -> None:
    """But where naming one is the point: the table, the folders, and what the quickstart trains."""
    words = {"draw", "pretext", "glow", "transformer", "vae", "gan", "unet", "segmenter"}  # said of others, too
    names = {row.name for row in ARCHITECTURES} - words | {row.model_type for row in ARCHITECTURES}
    endings = "Config|Model|PreTrainedModel|Processor|Backbone|ForConditionalGeneration|For[A-Z][A-Za-z]+"
    classes = re.compile(rf"({'|'.join(row.stem for row in ARCHITECTURES)})({endings})")
    exempt = ("hfmm.models", "hfmm.catalogue", "hfmm.quickstart")
    found = []
    for path in PACKAGE:
        if inside(module_of(path), exempt):
            continue
        text = docstrings(TREES[path])
        for node in ast.walk(TREES[path]):
            constant = isinstance(node, ast.Constant) and id(node) not in text and node.value in names
            identifier = isinstance(node, ast.Name | ast.Attribute | ast.alias) and classes.fullmatch(
                getattr(node, "id", getattr(node, "attr", getattr(node, "name", "")))
            )
            if constant or identifier:
                found.append(f"{name_of(path)}:{node.lineno} {ast.unparse(node)}")
    assert found == []


FORBIDDEN = {  # pieces are joined here so that this file does not hold what it looks for
    "unfinished": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImpl" + r"ementedError)\b",
    "a path of one machine": r"(?<![\w.:/<])/(?:work|home|root|tmp|Users)/\w",
    "probing": r"\bhas" + r"attr\(",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_text_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    looked_at = [path for path in TEXTS if what != "probing" or path in PACKAGE]
    found = [
        f"{name_of(path)}:{number} {line.strip()}"
        for path in looked_at
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_nothing_is_left_to_fill() -> None:
    """`scripts/new_architecture.py` writes the word where something is missing."""
    begun = files("hfmm", "model_cards", "tests/models", endings=(".py", ".md", ".yaml", ".json"))
    assert [name_of(path) for path in begun if re.search(r"\bFILL\b", path.read_text(encoding="utf-8"))] == []


def test_no_pickle_is_written_or_read() -> None:
    modules = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
    calls = {"torch.save", "torch.load", "np.load", "numpy.load", "pd.read_pickle", "pandas.read_pickle"}
    found = []
    for path in SHIPPED:
        found += [f"{name_of(path)} imports {name}" for name in imports(path) if inside(name, modules)]
        called = [
            node for node in ast.walk(TREES[path]) if isinstance(node, ast.Call) and ast.unparse(node.func) in calls
        ]
        found += [
            f"{name_of(path)}:{node.lineno} {ast.unparse(node)}"
            for node in called
            if "weights_only=True" not in ast.unparse(node) and "allow_pickle=False" not in ast.unparse(node)
        ]
    assert found == []


# What an architecture that is ready has


@pytest.mark.parametrize("row", READY, ids=lambda row: row.name)
def test_a_ready_architecture_is_whole(row: catalogue.Row) -> None:
    folder = ROOT.joinpath(*row.folder.split("."))
    expected = [folder / "__init__.py", folder / "presets.py", ROOT / "model_cards" / f"{row.name}.md"]
    if row.origin == "hfmm":
        expected += [folder / f"configuration_{row.name}.py", folder / f"modeling_{row.name}.py"]
    expected += [ROOT / "hfmm" / "recipes" / row.name / name for name in ("default.yaml", "measured.json")]
    expected += [ROOT / "tests" / "models" / row.family / f"test_{row.name}.py"]
    if (
        dict(row.processors).get("AutoProcessor", "").startswith(row.stem) and row.origin == "hfmm"
    ):  # and not upstream's
        expected.append(folder / f"processing_{row.name}.py")
    assert [name_of(path) for path in expected if not path.is_file()] == []
    assert "tiny" in row.presets
    assert "paper" in row.presets or not row.paper  # what no paper describes has no sizes of one


@pytest.mark.parametrize("row", READY, ids=lambda row: row.name)
def test_a_recipe_opens_with_paper_command_cost_and_result(row: catalogue.Row) -> None:
    for path in (ROOT / "hfmm" / "recipes" / row.name).glob("*.yaml"):
        head = path.read_text(encoding="utf-8").splitlines()[:4]
        for line, opening in zip(
            head, ("# Paper: ", "# Command: ", "# Hardware and duration: ", "# Reached: "), strict=True
        ):
            assert line.startswith(opening), name_of(path)


def test_every_folder_of_models_is_in_the_catalogue() -> None:
    folders = {path.parent for path in files("hfmm/models") if path.parent.parent.parent.name == "models"}
    assert {name_of(folder).replace("/", ".") for folder in folders} == {row.folder for row in READY}
    begun = {path.stem for path in files("model_cards", endings=(".md",))}
    assert begun <= {row.name for row in catalogue.ROWS}


def test_json_that_is_shipped_is_json() -> None:
    for path in files("hfmm", endings=(".json",)):
        json.loads(path.read_text(encoding="utf-8"))
