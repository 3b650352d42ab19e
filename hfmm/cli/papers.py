"""Reads what the files of an architecture say of its paper: docstring and card, without importing them."""

import ast
import re
from pathlib import Path

CELLS = re.compile(r"(?<!\\)\|")


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


def equations(card: str) -> list[dict[str, str]]:
    """The table of a card: equation, symbol, file and name, test."""
    return table(card.partition("## Paper to code")[2].partition("\n## ")[0])
