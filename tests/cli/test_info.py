"""`hfmm info`: what is read from an architecture's own files."""

import json

from hfmm import catalogue
from hfmm.cli import info, papers


def test_info_of_a_planned_row_and_of_a_reference(call):
    code, out, _ = call("info", "lrcn")
    assert (code, "planned" in out, "arXiv:1411.4389" in out) == (0, True, True)
    code, out, _ = call("info", "gpt_4")
    assert (code, "no code" in out, "Closed model" in out) == (0, True, True)


def test_info_of_an_architecture(call):
    code, out, _ = call("info", "show_and_tell", "--preset", "tiny", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["idea"][0].startswith("Show and Tell (Vinyals")
    assert {"equation", "symbol", "file and name", "test"} == facts["equations"][0].keys()
    assert list(facts["presets"]) == ["tiny"]
    assert facts["presets"]["tiny"]["parameters"] > 100_000
    assert facts["presets"]["tiny"]["config"]["hidden_size"] == 256
    text = info.render(catalogue.find("show_and_tell"), facts)
    assert f"{facts['presets']['tiny']['parameters']:,} parameters" in text
    assert "Eqs. 2 and 13: L(I, S)" in text


def test_info_of_an_unknown_name_or_preset(call):
    assert call("info", "show_and_tel")[::2] == (
        2,
        "hfmm: unknown architecture 'show_and_tel': did you mean 'show_and_tell'?\n",
    )
    assert call("info", "show_and_tell", "--preset", "tinny")[0] == 2


DOCSTRING = """A paper (Somebody, 2020).

Its idea,
in two lines.

Axes: B batch.
"""
CARD = """## Paper to code

| equation | symbol | file and name | test |
|---|---|---|---|
| Eq. 1 | p(x\\|y) | `modeling_toy.py`: `f` | `test_f` |

## Results
| a | b |
|---|---|
| 1 | 2 |
"""


def test_the_idea_is_read_from_the_docstring(tmp_path):
    (tmp_path / "modeling_toy.py").write_text(f'"""{DOCSTRING}"""\nimport nothing_that_exists\n')
    docstring = papers.docstring_of(tmp_path / "modeling_toy.py")
    assert papers.idea(docstring) == ["A paper (Somebody, 2020).", "Its idea, in two lines."]


def test_equations_are_read_from_the_card():
    assert papers.equations(CARD) == [
        {"equation": "Eq. 1", "symbol": "p(x|y)", "file and name": "`modeling_toy.py`: `f`", "test": "`test_f`"}
    ]
