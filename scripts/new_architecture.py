"""Begin an architecture: folder, test, card, recipe and catalogue line, all failing until they are filled.

python scripts/new_architecture.py lrcn --family captioning
python scripts/new_architecture.py vsepp --family alignment --title "VSE++" --year 2018 --paper arXiv:1707.05612

A name that the catalogue plans becomes ready there; another gets a new line. What is written comes from
`scripts/templates`; it holds the word FILL where something is missing, and `tests/test_repository.py` fails as long as
one is left.
"""

import argparse
import ast
import re
import sys
from pathlib import Path
from string import Template

FAMILIES = ("vision", "text", "captioning", "alignment", "generation", "generalist")
CAPTIONER = "AutoModelForImageTextToText"
TEMPLATES = Path(__file__).resolve().parent / "templates"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="in snake case, as a person will type it")
    parser.add_argument("--family", required=True, choices=FAMILIES)
    parser.add_argument("--auto", help="the Auto class of its head; by default that of its family")
    parser.add_argument("--title", help="as a person reads it (new names)")
    parser.add_argument("--year", type=int, help="of the paper (new names)")
    parser.add_argument("--paper", help="arXiv:NNNN.NNNNN, or authors and venue (new names)")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="of the repository")
    given = parser.parse_args()
    try:
        written = begin(given)
    except ValueError as error:
        print(f"new_architecture: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(str(path.relative_to(given.root)) for path in written))


def begin(given: argparse.Namespace) -> list[Path]:
    """Write the files of an architecture.

    Returns:
        What was written, the catalogue last.

    Raises:
        ValueError: The name is taken, misspelled or planned in another family; nothing is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", given.name):
        raise ValueError(f"'{given.name}' is not in snake case")
    folder = given.root / "hfmm" / "models" / given.family / given.name
    if folder.exists():
        raise ValueError(f"{folder.relative_to(given.root)} exists already")
    catalogue = given.root / "hfmm" / "catalogue.py"
    source = catalogue.read_text(encoding="utf-8")
    words = _words(given, _find(source, given.name))
    files = _files(given, words)
    taken = [path for path in files if path.exists()]
    if taken:
        raise ValueError(f"{taken[0].relative_to(given.root)} exists already")
    changed = _with_row(source, given, words)
    for path, template in files.items():
        text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    catalogue.write_text(changed, encoding="utf-8")
    return [*files, catalogue]


def _find(source: str, name: str) -> ast.Call | None:
    """The call in the catalogue that makes the row of that name."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    return next((call for call in calls if isinstance(call.args[0], ast.Constant) and call.args[0].value == name), None)


def _words(given: argparse.Namespace, row: ast.Call | None) -> dict[str, str]:
    """What the templates are filled with, from the planned row or else from the command line."""
    auto = given.auto or (CAPTIONER if given.family == "captioning" else "AutoModel")
    stem = "".join(part.capitalize() for part in given.name.split("_"))
    if row is None:
        if None in (given.title, given.year, given.paper):
            raise ValueError(f"'{given.name}' is not planned in the catalogue: give --title, --year and --paper")
        title, year, paper = given.title, str(given.year), given.paper
    else:
        if ast.unparse(row.func) != "Row" or ast.literal_eval(row.args[5]) != "hfmm" or len(row.args) > 8:
            raise ValueError(
                f"'{given.name}' is in the catalogue already, and is not a planned architecture of hfmm's own"
            )
        title, family, year, paper = (str(ast.literal_eval(part)) for part in row.args[1:5])
        if family != given.family:
            raise ValueError(f"'{given.name}' is planned in the family '{family}', not '{given.family}'")
        stem = next((ast.literal_eval(word.value) for word in row.keywords if word.arg == "camel"), stem)
    head = stem + ("ForConditionalGeneration" if auto == CAPTIONER else auto.removeprefix("Auto").removeprefix("Model"))
    head = head if head != stem else f"{stem}Model"
    place = f"hfmm.models.{given.family}.{given.name}"
    words = {"name": given.name, "family": given.family, "title": title, "year": year, "paper": paper or "no paper"}
    return words | {"stem": stem, "auto": auto, "head": head, "folder": place}


def _files(given: argparse.Namespace, words: dict[str, str]) -> dict[Path, str]:
    """Path to the name of its template."""
    name, family = given.name, given.family
    folder = given.root / "hfmm" / "models" / family / name
    files = {
        folder / "__init__.py": "init.py",
        folder / f"configuration_{name}.py": "configuration.py",
        folder / f"modeling_{name}.py": "modeling.py",
        folder / "presets.py": "presets.py",
        given.root / "hfmm" / "recipes" / name / "default.yaml": "recipe.yaml",
        given.root / "model_cards" / f"{name}.md": "card.md",
        given.root / "tests" / "models" / family / f"test_{name}.py": "test.py",
    }
    if words["auto"] == CAPTIONER:
        files[folder / f"processing_{name}.py"] = "processing.py"
    return files


def _with_row(source: str, given: argparse.Namespace, words: dict[str, str]) -> str:
    """The catalogue with the row ready: a planned one completed, or a new one after the last of its family."""
    processors = "OF_PICTURES"
    if words["auto"] == CAPTIONER:
        processors = f'(("AutoProcessor", "{words["stem"]}Processor"), *OF_WORDS_AND_PICTURES)'
    ready = f',\n        "ready", (("{words["auto"]}", "{words["head"]}"),),\n        processors={processors}'
    row = _find(source, given.name)
    lines = source.splitlines(keepends=True)
    if row is not None:
        after = row.args[7]
        assert after.end_lineno is not None
        end = sum(map(len, lines[: after.end_lineno - 1])) + _characters(
            lines[after.end_lineno - 1], after.end_col_offset
        )
        return source[:end] + ready + source[end:]
    rows = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Row"
    ]
    last = max(node.end_lineno or 0 for node in rows if _is_of(node, given.family))
    new = (
        f'Row("{given.name}", "{words["title"]}", "{given.family}", {words["year"]}, "{words["paper"]}", "hfmm", (), ()'
    )
    return "".join([*lines[:last], f"    {new}{ready}),\n", *lines[last:]])


def _is_of(row: ast.Call, family: str) -> bool:
    return len(row.args) > 2 and isinstance(row.args[2], ast.Constant) and row.args[2].value == family


def _characters(line: str, offset: int) -> int:
    """An offset in UTF-8 bytes, as ast counts, in characters."""
    return len(line.encode()[:offset].decode())


if __name__ == "__main__":
    main()
