"""Retrieval: search a collection of pictures in words or by a picture, and name a picture with labels of one's own.

Published, it runs with gradio and transformers alone; in a checkout it imports hfmm. The models are named in
`models.json` beside this file, or in the environment variable HFMM_MODELS: repositories (`user/name`, or
`user/name@commit`) or folders, separated by commas. HFMM_TRUST_REMOTE_CODE=1 lets them bring their own code; a
repository must then be pinned to a commit.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))  # a published app has these files beside it

import gradio as gr  # after the lines above, which it and the others need
import serving
from PIL import Image
from retrieval import Finder, Ranked, classify, entry, load, search
from serving import MAX_RUNNING, by_name, serve
from uploads import given, guarded, guarded_several, refusal, told

__all__ = ["build", "entry", "launch"]  # what `hfmm demo` takes

COLLECTION = 128  # pictures to search
LABELS, LONGEST = 50, 500  # labels of a picture, characters of what is written
HERE = Path(__file__).resolve().parent
EXAMPLES = sorted((HERE / "examples").glob("*.png"))
LIMITS = {"concurrency_limit": MAX_RUNNING, "concurrency_id": "retrieval"}
CSS = """
/* a gallery as tall as what it holds, words under the pictures */
#matches .grid-wrap { min-height: 0; max-height: none; overflow: visible; padding-top: 1.8rem }
#matches .thumbnail-item { aspect-ratio: auto; height: auto; background: none }
#matches .thumbnail-item img { height: auto; object-fit: contain }
#matches .caption-label {
  position: static; max-width: none; border: 0; white-space: normal; text-align: center; font-size: .9rem }
#matches .grid-container { align-items: start; grid-template-rows: none; height: auto }
@media (max-width: 640px) {
  #matches .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) }
}
"""
LEAD = """# {title}
Describe a picture, or show one like it; or name a picture with labels of your own."""

Pictures = list[tuple[str, Image.Image]]  # file name and picture
Shown = list[tuple[Image.Image, str]]  # picture and what is written under it


class Desk:
    """What visitors and programs can ask for. The docstrings are what the API and MCP clients read.

    Args:
        finders: By name.
    """

    def __init__(self, finders: Mapping[str, Finder]) -> None:
        self.finders = finders

    def search_words(self, words: str, collection: Pictures, model: str) -> Shown:
        """Order a collection of pictures by how well they fit words.

        Args:
            words: What to search for.
            collection: Uploaded files, at most 128.
            model: Name of the model.

        Returns:
            The pictures, the best first, with file name and score.
        """
        return self._search(said(words, "Write what to search for first."), collection, model)

    def search_picture(self, picture: Image.Image | None, collection: Pictures, model: str) -> Shown:
        """Order a collection of pictures by how much they are like a picture.

        Args:
            picture: An uploaded file of at most 5 MB.
            collection: Uploaded files, at most 128.
            model: Name of the model.

        Returns:
            The pictures, the most alike first, with file name and score.
        """
        return self._search(given(picture), collection, model)

    def label(self, picture: Image.Image | None, labels: str, sentence: str, model: str) -> dict[str, float]:
        """Say which of some labels fits a picture, without having learned these labels.

        Args:
            picture: An uploaded file of at most 5 MB.
            labels: One a line, 2 to 50.
            sentence: What is compared with the picture, with {} where the label goes.
            model: Name of the model.

        Returns:
            The share of each label.
        """
        names = [" ".join(line.split()) for line in said(labels, "Write two labels or more first.").splitlines()]
        names = [name for name in names if name]
        if not 2 <= len(names) <= LABELS:
            raise refusal(f"This takes 2 to {LABELS} labels, one a line.")
        with told():
            return classify(self.finders[model], given(picture), names, sentence)

    def _search(self, query: str | Image.Image, collection: Pictures, model: str) -> Shown:
        if not collection:
            raise refusal("Upload the pictures to search first, or take the example.")
        with told():
            found: Ranked = search(self.finders[model], query, [picture for _, picture in collection])
        return [(collection[row][1], f"{collection[row][0]}: {score:.2f}") for row, score in found]


def said(words: str, missing: str) -> str:
    """Words that are there, and not too many."""
    if not words or not words.strip():
        raise refusal(missing)
    if len(words) > LONGEST * LABELS:
        raise refusal("This is too long.")
    return words


def build(finders: Sequence[Finder], title: str = "Search pictures") -> gr.Blocks:
    """The page.

    Args:
        finders: One or more.
        title: Its heading.
    """
    named = by_name(finders)
    desk = Desk(named)
    with serving.page(title) as demo:
        gr.Markdown(LEAD.format(title=title))
        with gr.Tabs():
            search_tab(desk, list(named))
            label_tab(desk, list(named))
    return serving.queued(demo)


def search_tab(desk: Desk, names: list[str]) -> None:
    """Words or a picture, and a collection."""
    with gr.Tab("Search", id="search"), gr.Row():
        with gr.Column(scale=2, min_width=280):
            collection = several(f"Collection, at most {COLLECTION} pictures", COLLECTION, "collection")
            if EXAMPLES:
                drawn = [[[str(path) for path in EXAMPLES]]]
                names_of = [f"{len(EXAMPLES)} drawn scenes"]
                gr.Examples(drawn, [collection], example_labels=names_of, api_visibility="private")
            words = gr.Textbox(label="Words", placeholder="a red circle", elem_id="words", max_length=LONGEST)
            by_words = gr.Button("Search in words", variant="primary", elem_id="ask_words")
            picture = picture_input("Or a picture", "picture")
            by_picture = gr.Button("Search by picture", elem_id="ask_picture")
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="finder")
        with gr.Column(scale=3, min_width=280):
            matches = gr.Gallery(label="Best first", columns=4, format="png", height="auto", elem_id="matches")
    asked = [collection, model]
    by_words.click(desk.search_words, [words, *asked], matches, api_name="search_words", **LIMITS)
    words.submit(desk.search_words, [words, *asked], matches, api_visibility="private", **LIMITS)
    by_picture.click(desk.search_picture, [picture, *asked], matches, api_name="search_picture", **LIMITS)


def label_tab(desk: Desk, names: list[str]) -> None:
    """Labels of the visitor's own."""
    with gr.Tab("Label", id="label"), gr.Row():
        with gr.Column(scale=2, min_width=280):
            picture = picture_input("Picture", "pictured")
            if EXAMPLES:
                gr.Examples([[str(path)] for path in EXAMPLES[:4]], [picture], api_visibility="private")
            labels = gr.Textbox(label="Labels, one a line", value="red circle\nblue square", lines=5, elem_id="labels")
            sentence = gr.Textbox(
                label="Sentence, with {} for the label", value="a {}", elem_id="sentence", max_length=LONGEST
            )
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="labeler")
            ask = gr.Button("Label", variant="primary", elem_id="ask_label")
        with gr.Column(scale=3, min_width=280):
            shares = gr.Label(label="Which fits", elem_id="shares", num_top_classes=10)
    ask.click(desk.label, [picture, labels, sentence, model], shares, api_name="label", **LIMITS)


def picture_input(label: str, elem_id: str) -> gr.Image:
    """Where a visitor leaves a picture."""
    return guarded(
        gr.Image(label=label, sources=["upload", "clipboard"], height=260, elem_id=elem_id, buttons=[], min_width=280)
    )


def several(label: str, most: int, elem_id: str) -> gr.File:
    """Where a visitor leaves several pictures."""
    files = gr.File(label=label, file_count="multiple", file_types=["image"], height=180, elem_id=elem_id)
    return guarded_several(files, most)


def launch(demo: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve a page; `options` are those of gradio's own `launch`."""
    return serve(demo, CSS, **options)


def wanted() -> tuple[list[str], bool]:
    """The models to serve, and whether they may bring their own code."""
    return serving.wanted(HERE, "models that compare pictures with words")


def main() -> None:
    """Serve them."""
    names, own_code = wanted()
    launch(build([load(name, own_code) for name in names]))


if __name__ == "__main__":
    main()
