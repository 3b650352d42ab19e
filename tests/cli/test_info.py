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
    assert any("Eq. 13" in entry["paper"] for entry in facts["equations"])
    assert list(facts["presets"]) == ["tiny"]
    assert facts["presets"]["tiny"]["parameters"] > 100_000
    assert facts["presets"]["tiny"]["config"]["hidden_size"] == 256
    text = info.render(catalogue.find("show_and_tell"), facts)
    assert f"{facts['presets']['tiny']['parameters']:,} parameters" in text
    assert "Eq. 13" in text


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

| paper | here |
|---|---|
| p(x\\|y), Eq. 1 | `f` |
| g, Eqs. 2 to 4 and 7 | `g` |

Departure: none.
"""


def test_idea_and_equations_are_read_from_the_docstring(tmp_path):
    (tmp_path / "modeling_toy.py").write_text(f'"""{DOCSTRING}"""\nimport nothing_that_exists\n')
    docstring = papers.docstring_of(tmp_path / "modeling_toy.py")
    assert papers.idea(docstring) == ["A paper (Somebody, 2020).", "Its idea, in two lines."]
    assert papers.equations(docstring) == [
        {"paper": "p(x|y), Eq. 1", "here": "`f`"},
        {"paper": "g, Eqs. 2 to 4 and 7", "here": "`g`"},
    ]


def test_equations_find_the_tests_that_name_their_numbers(tmp_path):
    path = tmp_path / "test_toy.py"
    path.write_text(
        "def test_f():  # Eq. 1\n    pass\n\n\nclass TestToy:\n    def test_g(self):\n"
        '        """Eqs. 3 and 9 by hand."""\n\n\ndef helper():  # Eq. 7\n    pass\n'
    )
    found = papers.with_tests(papers.equations(DOCSTRING), [path])
    assert [entry["tests"] for entry in found] == [["test_toy.py::test_f"], ["test_toy.py::test_g"]]
    assert papers.numbers("Eqs. 2 to 4 and 7, Eq. 12; Table 9") == {2, 3, 4, 7, 12}
