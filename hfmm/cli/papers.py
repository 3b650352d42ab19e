"""Reads what the files of an architecture say of its paper: docstrings, tests and the card, without importing them."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

CELLS = re.compile(r"(?<!\\)\|")
EQUATIONS = re.compile(r"\bEqs?\.? *((?:\d+(?:, | and | to | or )?)+)")


def docstring_of(path: Path) -> str:
    """The module docstring of a Python file."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def idea(docstring: str) -> list[str]:
    """Title and idea: the paragraphs before the axes and the table of equations."""
    paragraphs = []
    for paragraph in docstring.split("\n\n"):
        if paragraph.startswith(("Axes:", "|")):
            break
        paragraphs.append(" ".join(paragraph.split()))
    return paragraphs


def table(text: str) -> list[dict[str, str]]:
    """The rows of the first Markdown table of a text, by the names in its head."""
    lines: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            lines.append([cell.strip().replace("\\|", "|") for cell in CELLS.split(line.strip())[1:-1]])
        elif lines:
            break
    if len(lines) < 3:
        return []
    head, _, *rows = lines
    return [dict(zip(head, row, strict=False)) for row in rows]


def equations(docstring: str) -> list[dict[str, str]]:
    """The table of a modeling file: what the paper calls it, and where it is."""
    return [{"paper": row["paper"], "here": row["here"]} for row in table(docstring) if {"paper", "here"} <= row.keys()]


def numbers(text: str) -> set[int]:
    """The equations that a text names: "Eqs. 4 to 6 and 9" is {4, 5, 6, 9}."""
    found: set[int] = set()
    for match in EQUATIONS.finditer(text):
        words = match[1].replace(",", " ").split()
        found.update(int(word) for word in words if word.isdigit())
        for before, word, after in zip(words, words[1:], words[2:], strict=False):
            if word == "to":
                found.update(range(int(before), int(after) + 1))
    return found


def with_tests(rows: Iterable[dict[str, str]], files: Iterable[Path]) -> list[dict[str, str | list[str]]]:
    """Add to each equation the tests that name its number beside their `def` or in their docstring."""
    tests = [(f"{path.name}::{name}", checked) for path in files for name, checked in _tests(path)]
    return [{**row, "tests": [name for name, checked in tests if checked & numbers(row["paper"])]} for row in rows]


def _tests(path: Path) -> list[tuple[str, set[int]]]:
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    return [
        (node.name, numbers(" ".join([lines[node.lineno - 1], ast.get_docstring(node) or ""])))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
