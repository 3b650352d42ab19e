"""Modules of hfmm as sibling files that need no hfmm: what the Hub runs of ours is flat.

transformers and evaluate copy the files that a file imports as `from .x import y` and no others, so every import of
ours becomes one of that form.
"""

import ast
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from hfmm import __version__

LICENSE = "Apache-2.0"
PACKAGE = Path(str(files("hfmm")))


class Module(NamedTuple):
    """A module of ours, flattened.

    Attributes:
        text: Its source with imports of siblings.
        needs: The modules of ours that it imports, by dotted name.
    """

    text: str
    needs: tuple[str, ...]


def basename(module: str) -> str:
    """`hfmm.nn.captioning` as `captioning`."""
    return module.rpartition(".")[2]


def flatten(modules: Iterable[str], rename: Callable[[str], str] = basename) -> dict[str, str]:
    """Modules, and all of ours that they import, as sibling files.

    Args:
        modules: Dotted names.
        rename: From a dotted name to the name of the file, without `.py`.

    Returns:
        File name to text, in the order of the names.

    Raises:
        ValueError: An import has no flat form, or two modules get the same name.
    """
    waiting, done = list(modules), dict[str, Module]()
    while waiting:
        module = waiting.pop()
        if module not in done:
            done[module] = flattened(module, rename)
            waiting += done[module].needs
    texts: dict[str, str] = {}
    for module in sorted(done, key=rename):
        name = f"{rename(module)}.py"
        if name in texts:
            raise ValueError(f"two modules would be {name}: {module} is the second")
        texts[name] = f"{notice(module)}\n{done[module].text}"
    return texts


def notice(module: str) -> str:
    """The first line of a file: where it comes from and under which license."""
    return f"# {module} of hfmm {__version__}, license {LICENSE} (https://www.apache.org/licenses/LICENSE-2.0)"


def flattened(module: str, rename: Callable[[str], str]) -> Module:
    """One module with its imports of ours rewritten, wherever in the file they are."""
    source = source_of(module).read_text(encoding="utf-8")
    lines, needs = source.splitlines(), []
    ours = [node for node in ast.walk(ast.parse(source)) if _is_ours(node)]
    for node in sorted(ours, key=lambda node: node.lineno, reverse=True):  # type: ignore[attr-defined]
        if not isinstance(node, ast.ImportFrom):
            raise ValueError(f"{module}: '{ast.unparse(node)}' has no flat form: import names from it")
        statements, targets = _rewritten(node, module, rename)
        needs += targets
        start, end = node.lineno - 1, node.end_lineno or node.lineno
        indent, rest = " " * node.col_offset, lines[end - 1][node.end_col_offset :]
        lines[start:end] = [indent + statement for statement in statements]
        lines[start + len(statements) - 1] += rest
    return Module("\n".join(lines) + "\n", tuple(needs))


def source_of(module: str) -> Path:
    """The file of a module."""
    return PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")


def _is_ours(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").partition(".")[0] == "hfmm"
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "hfmm" for alias in node.names)


def _rewritten(node: ast.ImportFrom, module: str, rename: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """The statements that take the place of an import, and the modules they need."""
    above = module.split(".")[: -node.level] if node.level else []
    target = ".".join([*above, *([node.module] if node.module else [])])
    if source_of(target).is_file():
        names = ", ".join(f"{alias.name} as {alias.asname}" if alias.asname else alias.name for alias in node.names)
        return [f"from .{rename(target)} import {names}"], [target]
    statements, targets = [], []
    for alias in node.names:  # of a package: modules, which `from . import x` would give but is not looked for
        inner = f"{target}.{alias.name}"
        if not source_of(inner).is_file():
            raise ValueError(f"{module}: '{ast.unparse(node)}' has no flat form: {target} is a package")
        name, bound = rename(inner), alias.asname or alias.name
        statements += ["import sys", f"from .{name} import __name__ as _{name}", f"{bound} = sys.modules[_{name}]"]
        targets.append(inner)
    return statements, targets
