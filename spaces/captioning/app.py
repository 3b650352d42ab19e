"""Image captioning: the caption of a picture, its runners-up, where the model looked, and several captioners compared.

Runs with gradio and transformers alone. The captioners are named in `models.json` beside this file, or in the
environment variable HFMM_MODELS: repositories (`user/name`, or `user/name@commit`) or folders, separated by commas.
HFMM_TRUST_REMOTE_CODE=1 lets them bring their own code; a repository must then be pinned to a commit.
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
from captioner import Captioner, describe, entry, load
from pictures import sheet_of
from PIL import Image
from serving import MAX_RUNNING, by_name, serve
from uploads import guarded, refusal

__all__ = ["build", "entry", "launch"]  # what `hfmm demo` takes

HERE = Path(__file__).resolve().parent
EXAMPLES = sorted((HERE / "examples").glob("*.png"))
CSS = """
#caption textarea { font-size: 1.15rem; font-weight: 600 }
#best *, #said * { font-family: var(--font) !important; overflow-wrap: anywhere }
/* galleries as tall as what they hold, words under the pictures, sheets uncropped */
#words .grid-wrap, #sheets .grid-wrap { max-height: none; overflow: visible; padding-top: 1.8rem }
#words .thumbnail-item, #sheets .thumbnail-item { aspect-ratio: auto; height: auto; background: none }
#words .thumbnail-item img, #sheets .thumbnail-item img { height: auto; object-fit: contain }
#words .caption-label, #sheets .caption-label {
  position: static; max-width: none; border: 0; white-space: normal; text-align: center; font-size: .9rem }
#sheets .grid-container { align-items: start; grid-template-rows: none }
@media (max-width: 640px) {
  #words .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) }
  #sheets .grid-container { grid-template-columns: 1fr !important }
}
"""
LEAD = """# {title}
Upload a picture. You get the model's caption, the next best ones with their scores (log-probabilities: nearer to 0 is
surer), and, where the architecture has attention, the picture lit where it looked at each word."""


class Desk:
    """What visitors and programs can ask for. The docstrings are what the API and MCP clients read.

    Args:
        captioners: By name.
    """

    def __init__(self, captioners: Mapping[str, Captioner]) -> None:
        self.captioners = captioners

    def caption(self, picture: Image.Image | None, model: str, count: float = 3) -> tuple[str, list[list[Any]], Any]:
        """Say what is on a picture, and show where the model looked at each word.

        Args:
            picture: The picture, an uploaded file of at most 5 MB.
            model: Name of the captioner.
            count: How many captions to list, 1 to 5.

        Returns:
            The caption, the best captions with their scores, and the attention picture of each word.
        """
        wanted = max(1, min(5, int(count)))
        answer = describe(self._captioner(model), self._picture(picture), wanted)
        rows = [list(pair) for pair in zip(answer.captions, answer.scores, strict=True)]
        return answer.captions[0], rows, answer.panels

    def compare(self, picture: Image.Image | None, models: list[str]) -> tuple[list[list[Any]], Any]:
        """Caption one picture with several captioners, side by side.

        Args:
            picture: The picture, an uploaded file of at most 5 MB.
            models: Names of the captioners.

        Returns:
            The caption and score of each captioner, and a sheet of the attention pictures of each.
        """
        image = self._picture(picture)
        if not models:
            raise refusal("Choose at least one captioner.")
        rows, sheets = [], []
        for name in dict.fromkeys(models):
            answer = describe(self._captioner(name), image, 1)
            rows.append([name, answer.captions[0], answer.scores[0]])
            sheets.append((sheet_of(answer.panels), f"{name}: {answer.captions[0]}"))
        return rows, sheets

    def _captioner(self, name: str) -> Captioner:
        if name not in self.captioners:
            known = ", ".join(self.captioners)
            raise refusal(f"There is no captioner '{name}': known are {known}.")
        return self.captioners[name]

    def _picture(self, picture: Image.Image | None) -> Image.Image:
        if picture is None:
            raise refusal("Upload a picture first, or choose an example.")
        return picture


def build(captioners: Sequence[Captioner], title: str = "Image captioning") -> gr.Blocks:
    """The page.

    Args:
        captioners: One or more.
        title: Its heading.
    """
    named = by_name(captioners)
    desk, names = Desk(named), list(named)
    limits = {"concurrency_limit": MAX_RUNNING, "concurrency_id": "captioning"}
    with serving.page(title) as demo:
        gr.Markdown(LEAD.format(title=title))
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                picture = guarded(
                    gr.Image(
                        label="Picture", sources=["upload", "clipboard"], height=300, elem_id="picture", buttons=[]
                    )
                )
                if EXAMPLES:
                    gr.Examples([[str(path)] for path in EXAMPLES], [picture], api_visibility="private")
            with gr.Column(scale=3, min_width=280), gr.Tabs():
                with gr.Tab("Caption", id="caption"):
                    model = gr.Dropdown(names, value=names[0], label="Captioner", elem_id="model")
                    count = gr.Slider(1, 5, value=3, step=1, label="Captions")
                    ask = gr.Button("Caption", variant="primary", elem_id="ask")
                    caption = gr.Textbox(label="Caption", lines=2, elem_id="caption")
                    best = gr.Dataframe(
                        headers=["caption", "score"],
                        datatype=["str", "number"],
                        column_widths=["75%", "25%"],
                        label="Best captions",
                        wrap=True,
                        interactive=False,
                        elem_id="best",
                    )
                    words = gr.Gallery(
                        label="Where it looked at each word", columns=4, format="png", height="auto", elem_id="words"
                    )
                with gr.Tab("Compare", id="compare"):
                    models = gr.CheckboxGroup(names, value=names[:4], label="Captioners", elem_id="models")
                    ask_all = gr.Button("Compare", variant="primary", elem_id="ask_all")
                    said = gr.Dataframe(
                        headers=["model", "caption", "score"],
                        datatype=["str", "str", "number"],
                        column_widths=["28%", "46%", "26%"],
                        label="Captions",
                        wrap=True,
                        interactive=False,
                        elem_id="said",
                    )
                    sheets = gr.Gallery(
                        label="Where they looked", columns=2, format="png", height="auto", elem_id="sheets"
                    )
        ask.click(desk.caption, [picture, model, count], [caption, best, words], api_name="caption", **limits)
        ask_all.click(desk.compare, [picture, models], [said, sheets], api_name="compare", **limits)
    return serving.queued(demo)


def launch(demo: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve a page; `options` are those of gradio's own `launch`."""
    return serve(demo, CSS, **options)


def wanted() -> tuple[list[str], bool]:
    """The captioners to serve, and whether they may bring their own code."""
    return serving.wanted(HERE, "captioners")


def main() -> None:
    """Serve them."""
    names, own_code = wanted()
    launch(build([load(name, own_code) for name in names]))


if __name__ == "__main__":
    main()
