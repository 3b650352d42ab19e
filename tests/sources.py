"""The sources of the repository, read with ast: what `tests/test_repository.py` asks of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {"__pycache__", "node_modules", "build", "dist"}


def files(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    """Files under folders of the repository."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return sorted(path for path in found if not SKIPPED & set(path.parts))


PACKAGE = files("hfmm")
SHIPPED = files("hfmm", "scripts")
SOURCES = [*SHIPPED, *files("tests")]
TEXTS = [
    *files(
        "hfmm", "scripts", "tests", "model_cards", "spaces", endings=(".py", ".sh", ".md", ".yaml", ".json", ".txt")
    ),
    *(path for path in ROOT.iterdir() if path.suffix in (".md", ".toml", ".txt", ".cff")),
]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def name_of(path: Path) -> str:
    """A file as it is told in a message."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """`hfmm.data.columns` of hfmm/data/columns.py; a package keeps its `__init__`, so that `.x` is beside it."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere but under TYPE_CHECKING, as `hfmm.data.columns.parse_columns`."""
    parts = module_of(path).split(".")
    for node in running(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) if node.level else ""
            yield from (".".join(filter(None, [base, node.module, alias.name])) for alias in node.names)


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree without what stands under `if TYPE_CHECKING`."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from running(child)


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    """Every function of the package and of the scripts."""
    for path in SHIPPED:
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def inside(module: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these or below it."""
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def docstrings(tree: ast.Module) -> set[int]:
    """ids of the nodes that are docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, owners)]
    return {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
