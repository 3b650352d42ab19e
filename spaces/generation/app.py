"""Generation: new pictures of noise or words, several models on the same seed, the way from one picture to another,
changed pictures, and pictures that are made of pictures.

Published, it runs with gradio, diffusers and transformers alone; in a checkout it imports hfmm. The models are named in
`models.json` beside this file, or in the environment variable HFMM_MODELS: repositories (`user/name`, or
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
from generation import Maker, entry, load
from serving import MAX_RUNNING, by_name, serve
from studio import HIGHEST_SEED, LONGEST, MOST, Studio
from uploads import guarded, guarded_several

__all__ = ["build", "entry", "launch"]  # what `hfmm demo` takes

UPLOADS = 32  # pictures of an attribute
HERE = Path(__file__).resolve().parent
EXAMPLES = sorted((HERE / "examples").glob("*.png"))
LIMITS = {"concurrency_limit": MAX_RUNNING, "concurrency_id": "generation"}
LEAD = """# {title}
Out of noise, of words, between two others, or of a picture that lacks something."""
CSS = """
.strip .grid-wrap { min-height: 0; max-height: none; overflow: visible; padding-top: 1.8rem }
.strip .thumbnail-item { aspect-ratio: auto; height: auto; background: none }
.strip .thumbnail-item img { height: auto; object-fit: contain; image-rendering: pixelated }
.strip .caption-label {
  position: static; max-width: none; border: 0; white-space: normal; text-align: center; font-size: .9rem }
.strip .grid-container { align-items: start; grid-template-rows: none; height: auto }
@media (max-width: 640px) {
  .strip .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)) }
}
"""


def build(makers: Sequence[Maker], title: str = "Make pictures") -> gr.Blocks:
    """The page, with a tab for each kind of thing that one of the models can do.

    Args:
        makers: One or more.
        title: Its heading.
    """
    named = by_name(makers)
    studio = Studio(named)
    tabs: list[tuple[Callable[[Studio, list[str]], None], Callable[[Maker], bool]]] = [
        (sample_tab, lambda maker: maker.draws),
        (say_tab, lambda maker: maker.reads),
        (interpolate_tab, lambda maker: maker.has_codes),
        (edit_tab, lambda maker: maker.has_codes),
        (mend_tab, lambda maker: maker.edits),
    ]
    with serving.page(title) as demo:
        gr.Markdown(LEAD.format(title=title))
        with gr.Tabs():
            for tab, can in tabs:
                names = [name for name, maker in named.items() if can(maker)]
                if names:
                    tab(studio, names)
    return serving.queued(demo)


def sample_tab(studio: Studio, names: list[str]) -> None:
    """New pictures, several models on the same seed."""
    with gr.Tab("Draw", id="draw"):
        chosen = drawing_inputs(names, "draw")
        ask = gr.Button("Draw", variant="primary", elem_id="ask_draw")
        drawn = strip("Drawn", "drawn", columns=8)
        ask.click(studio.sample, chosen, drawn, api_name="sample", **LIMITS)


def say_tab(studio: Studio, names: list[str]) -> None:
    """Pictures of a text."""
    with gr.Tab("Say", id="say"):
        words = gr.Textbox(label="What to draw", max_length=LONGEST, elem_id="words")
        chosen = drawing_inputs(names, "say")
        ask = gr.Button("Draw", variant="primary", elem_id="ask_say")
        drawn = strip("Drawn", "said", columns=8)
        ask.click(studio.say, [words, *chosen], drawn, api_name="say", **LIMITS)


def drawing_inputs(names: list[str], tab: str) -> list[Any]:
    """Where a visitor chooses models, how many pictures, and the seed."""
    with gr.Row():
        return [
            gr.CheckboxGroup(names, value=names, label="Models", elem_id=f"makers_{tab}", min_width=280),
            gr.Slider(1, MOST, value=8, step=1, label="Pictures of each", elem_id=f"count_{tab}", min_width=280),
            seed_input(f"seed_{tab}"),
        ]


def mend_tab(studio: Studio, names: list[str]) -> None:
    """A picture that is made of a picture."""
    with gr.Tab("Mend", id="mend"):
        gr.Markdown("The model is given less than the picture: its gray, its small copy or its code.")
        picture = picture_input("Picture", "broken")
        model = gr.Dropdown(names, value=names[0], label="Model", elem_id="mender")
        ask = gr.Button("Mend", variant="primary", elem_id="ask_mend")
        mended = strip("Given, mended, and the picture", "mended", columns=4)
        ask.click(studio.mend, [picture, model], mended, api_name="mend", **LIMITS)


def interpolate_tab(studio: Studio, names: list[str]) -> None:
    """The way from one picture to another."""
    with gr.Tab("Between", id="between"):
        gr.Markdown("Upload two pictures, or none: then the model draws them.")
        with gr.Row():
            first, second = picture_input("From", "first"), picture_input("To", "second")
        with gr.Row():
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="interpolator", min_width=280)
            seed = seed_input("seed_between")
        ask = gr.Button("Go", variant="primary", elem_id="ask_between")
        way = strip("On the way", "way", columns=7)
        ask.click(studio.interpolate, [first, second, model, seed], way, api_name="interpolate", **LIMITS)


def edit_tab(studio: Studio, names: list[str]) -> None:
    """A picture with less or more of what others have."""
    with gr.Tab("Change", id="change"):
        with gr.Row():
            picture = picture_input("Picture", "picture")
            having, lacking = several("Pictures that have it", "having"), several("Pictures that lack it", "lacking")
        with gr.Row():
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="editor", min_width=280)
            strength = gr.Slider(0, 3, value=1, step=0.1, label="How much of it", elem_id="strength", min_width=280)
        ask = gr.Button("Change", variant="primary", elem_id="ask_edit")
        changed = strip("Less of it to more of it", "changed", columns=5)
        if EXAMPLES:
            lit, dark = ([str(path) for path in EXAMPLES if path.stem.startswith(kind)] for kind in ("seven", "one"))
            gr.Examples(
                [[dark[0], lit, dark]],
                [picture, having, lacking],
                example_labels=["A one that becomes a seven"],
                api_visibility="private",
            )
        ask.click(studio.edit, [picture, having, lacking, model, strength], changed, api_name="edit", **LIMITS)


def picture_input(label: str, elem_id: str) -> gr.Image:
    """Where a visitor leaves a picture."""
    return guarded(
        gr.Image(label=label, sources=["upload", "clipboard"], height=220, elem_id=elem_id, buttons=[], min_width=240)
    )


def several(label: str, elem_id: str) -> gr.File:
    """Where a visitor leaves several pictures."""
    files = gr.File(
        label=label, file_count="multiple", file_types=["image"], height=220, elem_id=elem_id, min_width=240
    )
    return guarded_several(files, UPLOADS)


def seed_input(elem_id: str) -> gr.Number:
    """Where a visitor chooses what is drawn."""
    return gr.Number(0, label="Seed", precision=0, minimum=0, maximum=HIGHEST_SEED, elem_id=elem_id, min_width=160)


def strip(label: str, elem_id: str, columns: int) -> gr.Gallery:
    """Where a visitor sees pictures, words under them."""
    return gr.Gallery(
        label=label, columns=columns, format="png", height="auto", elem_id=elem_id, elem_classes="strip", buttons=[]
    )


def launch(demo: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve a page; `options` are those of gradio's own `launch`."""
    return serve(demo, CSS, **options)


def wanted() -> tuple[list[str], bool]:
    """The models to serve, and whether they may bring their own code."""
    return serving.wanted(HERE, "generators")


def main() -> None:
    """Serve them."""
    names, own_code = wanted()
    launch(build([load(name, own_code) for name in names]))


if __name__ == "__main__":
    main()
