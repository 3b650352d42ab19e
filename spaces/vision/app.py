"""Vision: classes and why, objects and regions, whether two faces are one person, and the map of a picture collection.

Published, it runs with gradio, transformers and scikit-learn alone; in a checkout it imports hfmm. The models are named
in `models.json` beside this file, or in the environment variable HFMM_MODELS: repositories (`user/name`, or
`user/name@commit`) or folders, separated by commas. HFMM_TRUST_REMOTE_CODE=1 lets them bring their own code; a
repository must then be pinned to a commit.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))  # a published app has these files beside it

import gradio as gr  # after the lines above, which it and the others need
import serving
from desk import LEAST, MOST, Desk
from serving import MAX_RUNNING, by_name, serve
from uploads import guarded, guarded_several
from vision import CLASSIFIER, DETECTOR, EMBEDDER, SEGMENTER, Seer, entry, load

__all__ = ["build", "entry", "launch"]  # what `hfmm demo` takes

GALLERY = 32  # faces to search
HERE = Path(__file__).resolve().parent
EXAMPLES = sorted((HERE / "examples").glob("*.png"))
LIMITS = {"concurrency_limit": MAX_RUNNING, "concurrency_id": "vision"}
CSS = """
#verdict textarea { font-size: 1.15rem; font-weight: 600 }
#things * { font-family: var(--font) !important; overflow-wrap: anywhere }
/* galleries as tall as what they hold, words under the pictures */
#looked .grid-wrap, #matches .grid-wrap { min-height: 0; max-height: none; overflow: visible; padding-top: 1.8rem }
#looked .thumbnail-item, #matches .thumbnail-item { aspect-ratio: auto; height: auto; background: none }
#looked .thumbnail-item img, #matches .thumbnail-item img { height: auto; object-fit: contain }
#looked .caption-label, #matches .caption-label {
  position: static; max-width: none; border: 0; white-space: normal; text-align: center; font-size: .9rem }
#looked .grid-container, #matches .grid-container { align-items: start; grid-template-rows: none; height: auto }
@media (max-width: 640px) {
  #matches .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) }
}
"""
LEAD = """# {title}
What models make of pictures, and why: upload your own, or choose an example."""


def build(seers: Sequence[Seer], title: str = "What models see") -> gr.Blocks:
    """The page, with a tab for each kind of question that one of the models can answer.

    Args:
        seers: One or more.
        title: Its heading.
    """
    named = by_name(seers)
    desk = Desk(named)
    tabs: list[tuple[Callable[[Desk, list[str]], None], tuple[str, ...]]] = [
        (classify_tab, (CLASSIFIER,)),
        (find_tab, (DETECTOR, SEGMENTER)),
        (faces_tab, (EMBEDDER,)),
        (map_tab, (CLASSIFIER, DETECTOR, SEGMENTER, EMBEDDER)),
    ]
    with serving.page(title) as demo:
        gr.Markdown(LEAD.format(title=title))
        with gr.Tabs():
            for tab, kinds in tabs:
                names = [name for name, seer in named.items() if seer.kind in kinds]
                if names:
                    tab(desk, names)
    return serving.queued(demo)


def classify_tab(desk: Desk, names: list[str]) -> None:
    """Classify and see why."""
    with gr.Tab("Classify", id="classify"), gr.Row():
        with gr.Column(scale=2, min_width=280):
            picture = picture_input("Picture", "picture")
            model = gr.Dropdown(names, value=names[0], label="Classifier", elem_id="classifier")
            ask = gr.Button("Classify", variant="primary", elem_id="ask_class")
            examples(picture)
        with gr.Column(scale=3, min_width=280):
            classes = gr.Label(label="Likeliest classes", elem_id="classes")
            looked = gr.Gallery(label="Why", columns=2, format="png", height="auto", elem_id="looked")
        ask.click(desk.classify, [picture, model], [classes, looked], api_name="classify", **LIMITS)


def find_tab(desk: Desk, names: list[str]) -> None:
    """Detect and segment."""
    with gr.Tab("Find", id="find"), gr.Row():
        with gr.Column(scale=2, min_width=280):
            picture = picture_input("Picture", "scene")
            model = gr.Dropdown(names, value=names[0], label="Detector or segmenter", elem_id="finder")
            ask = gr.Button("Find", variant="primary", elem_id="ask_find")
            examples(picture)
        with gr.Column(scale=3, min_width=280):
            drawn = drawing("What is where", "drawn")
            things = gr.Dataframe(
                headers=["what", "score", "where"],
                datatype=["str", "str", "str"],
                column_widths=["35%", "20%", "45%"],
                label="Found",
                wrap=True,
                interactive=False,
                elem_id="things",
            )
        ask.click(desk.find, [picture, model], [drawn, things], api_name="find", **LIMITS)


def faces_tab(desk: Desk, names: list[str]) -> None:
    """Who is who."""
    with gr.Tab("Faces", id="faces"):
        model = gr.Dropdown(names, value=names[0], label="Model", elem_id="embedder")
        with gr.Row():
            first, second = picture_input("A face", "face"), picture_input("Another", "other")
        threshold = gr.Slider(-1, 1, value=0.5, step=0.01, label="Cosine from which on it is one person")
        ask = gr.Button("Compare", variant="primary", elem_id="ask_faces")
        verdict = gr.Textbox(label="Answer", elem_id="verdict")
        cosine = gr.Number(label="Cosine", visible=False)
        gallery = several("Faces to search for the first one", GALLERY, "gallery")
        seek = gr.Button("Search", elem_id="ask_search")
        matches = gr.Gallery(label="Most alike first", columns=6, format="png", height="auto", elem_id="matches")
        ask.click(
            desk.compare, [first, second, model, threshold], [verdict, cosine], api_name="compare_faces", **LIMITS
        )
        seek.click(desk.search, [first, gallery, model], matches, api_name="search_faces", **LIMITS)


def map_tab(desk: Desk, names: list[str]) -> None:
    """The map of a picture collection."""
    with gr.Tab("Map", id="map"), gr.Row():
        with gr.Column(scale=2, min_width=280):
            pictures = several(f"Pictures, {LEAST} to {MOST}", MOST, "pictures")
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="mapper")
            ask = gr.Button("Map", variant="primary", elem_id="ask_map")
            if EXAMPLES:
                scenes = [[[str(path) for path in EXAMPLES]]]
                names_of = [f"{len(EXAMPLES)} drawn scenes"]
                gr.Examples(scenes, [pictures], example_labels=names_of, api_visibility="private")
        with gr.Column(scale=3, min_width=280):
            laid_out = drawing("What the model takes to be alike lies together", "chart")
            nearest = drawing("Pictures, each with those nearest to it and the distances of their codes", "nearest")
        ask.click(desk.map, [pictures, model], [laid_out, nearest], api_name="map", **LIMITS)


def picture_input(label: str, elem_id: str) -> gr.Image:
    """Where a visitor leaves a picture."""
    return guarded(
        gr.Image(label=label, sources=["upload", "clipboard"], height=300, elem_id=elem_id, buttons=[], min_width=280)
    )


def drawing(label: str, elem_id: str) -> gr.Image:
    """Where a visitor sees a drawn picture, its label above it so that it covers nothing."""
    gr.Markdown(label)
    return gr.Image(label=label, show_label=False, format="png", interactive=False, elem_id=elem_id, buttons=[])


def several(label: str, most: int, elem_id: str) -> gr.File:
    """Where a visitor leaves several pictures."""
    files = gr.File(label=label, file_count="multiple", file_types=["image"], height=180, elem_id=elem_id)
    return guarded_several(files, most)


def examples(picture: gr.Image) -> None:
    """Pictures to begin with."""
    if EXAMPLES:
        gr.Examples([[str(path)] for path in EXAMPLES[:4]], [picture], api_visibility="private")


def launch(demo: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve a page; `options` are those of gradio's own `launch`."""
    return serve(demo, CSS, **options)


def wanted() -> tuple[list[str], bool]:
    """The models to serve, and whether they may bring their own code."""
    return serving.wanted(HERE, "vision models")


def main() -> None:
    """Serve them."""
    names, own_code = wanted()
    launch(build([load(name, own_code) for name in names]))


if __name__ == "__main__":
    main()
