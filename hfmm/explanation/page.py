"""The page of a run: loss curve, score table, and pictures with the reason for each answer."""

import html
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from hfmm.explanation.base import Explanation, data_url
from hfmm.results import by_measurement, read_results

Section = tuple[str, Sequence[Explanation | str]]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1c1e21; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse } th, td { border: 1px solid #d0d4d9; padding: .3rem .7rem; text-align: left }
td { font-variant-numeric: tabular-nums }
figure { margin: 1.2rem 0; padding-bottom: 1rem; border-bottom: 1px solid #e4e7ea }
img { max-width: 100%; height: auto } .wide { overflow-x: auto; font-size: .85rem } .talk { color: #5a6067 }
.wide td, .wide th { white-space: nowrap; padding: .25rem .5rem }
.wide td:last-child { white-space: normal; min-width: 28rem }
"""


def write_page(run: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write `index.html` of a run, with every picture inside it.

    Args:
        run: A finished run directory; `results.json` and `loss.png` are read from it.
        title: Of the page.
        lead: One paragraph under the title.
        sections: (heading, explanations or pieces of HTML) in order.

    Returns:
        The path of the page.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p class=talk>{html.escape(lead)}</p>"]
    loss = run / "loss.png"
    if loss.exists():
        parts.append(f'<h2>Loss</h2><img src="{data_url(Image.open(loss))}" alt="loss by step">')
    parts.append("<h2>Scores</h2>" + html_table(by_measurement(read_results(run))))
    for heading, items in sections:
        shown = (item if isinstance(item, str) else item.to_html() for item in items)
        parts.append(f"<h2>{html.escape(heading)}</h2>" + "".join(shown))
    path = run / "index.html"
    path.write_text(document(title, "".join(parts)), encoding="utf-8")
    return path


def document(title: str, body: str, style: str = "") -> str:
    """A whole page, readable at any width.

    Args:
        title: Plain text.
        body: HTML.
        style: CSS beside that of every page.
    """
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style>{body}</html>\n"
    )


def html_table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the first of which is the head."""
    head, *body = lines
    rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in body)
    heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    return f"<div class=wide><table><tr>{heads}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table></div>"
