"""Chat about pictures: several turns, several pictures, answers word by word, and two models on the same words.

Published, it runs with gradio, transformers and peft alone; in a checkout it imports hfmm. The models are named in
`models.json` beside this file, or in the environment variable HFMM_MODELS: repositories (`user/name`, or
`user/name@commit`) or folders, separated by commas. HFMM_TRUST_REMOTE_CODE=1 lets them bring their own code; a
repository must then be pinned to a commit.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))  # a published app has these files beside it

import gradio as gr  # after the lines above, which it and the others need
import serving
from parlor import HOTTEST, MOST, NOBODY, TOKENS, Parlor
from serving import MAX_RUNNING, by_name, serve
from speakers import Speaker, entry, load
from uploads import guarded_words

__all__ = ["build", "entry", "launch"]  # what `hfmm demo` takes

HERE = Path(__file__).resolve().parent
EXAMPLES = (  # drawn by hfmm, with questions as its built-in dialogues begin
    ("scene_1.png", "what color is the star"),
    ("scene_2.png", "where is the white circle"),
    ("scene_3.png", "is there a white circle"),
    ("scene_4.png", "what color is the triangle"),
)
LIMITS = {"concurrency_limit": MAX_RUNNING, "concurrency_id": "chat"}
HEIGHT = 420  # pixels of a conversation
LEAD = """# {title}
Ask about one picture or several, and go on asking: the model remembers what was said and shown until you clear it."""
CSS = """
.conversation .message { overflow-wrap: anywhere }
.conversation .message-buttons { display: none }
.conversation img { image-rendering: pixelated; max-height: 11rem; width: auto }
"""


def build(speakers: Sequence[Speaker], title: str = "Chat about pictures") -> gr.Blocks:
    """The page.

    Args:
        speakers: One or more.
        title: Its heading.
    """
    named = {name: replace(each, name=name) for name, each in by_name(speakers).items()}
    parlor, names = Parlor(named), list(named)
    with serving.page(title) as demo:
        gr.Markdown(LEAD.format(title=title))
        memory = gr.State({}, time_to_live=serving.KEPT_SECONDS)
        with gr.Row():
            model = gr.Dropdown(names, value=names[0], label="Model", elem_id="model", min_width=240)
            other = gr.Dropdown(
                [NOBODY, *names],
                value=NOBODY,
                label="Compare with",
                elem_id="other",
                min_width=240,
                visible=len(names) > 1,
            )
        with gr.Row():
            with gr.Column(min_width=280):
                first = conversation(names[0], "first")
            with gr.Column(min_width=280, visible=False) as beside:
                second = conversation(NOBODY, "second")
        words = guarded_words(
            gr.MultimodalTextbox(
                label="What you say", placeholder="Ask something; pictures stand before the words",
                file_count="multiple", file_types=["image"], sources=["upload"], elem_id="words",
            ),
            MOST,
        )  # fmt: skip
        clear = gr.Button("Clear the conversation", elem_id="clear")
        with gr.Accordion("How it answers", open=False):
            longest = gr.Slider(1, TOKENS, value=128, step=1, label="Tokens at most", elem_id="longest")
            temperature = gr.Slider(0, HOTTEST, value=0, step=0.1, label="Temperature", elem_id="temperature")
        asked = [{"text": text, "files": [str(HERE / "examples" / name)]} for name, text in EXAMPLES]
        gr.Examples([[each] for each in asked], [words], api_visibility="private")
        given, talk = [words, model, other, longest, temperature, memory], [first, second, memory]
        said = words.submit(
            parlor.converse, given, [*talk, words], api_visibility="private", show_progress="hidden", **LIMITS
        )
        gr.on([], parlor.say, given, talk, api_name="say", **LIMITS)  # for programs, which have no box to empty
        gr.on([], parlor.clear, None, talk, api_name="clear")
        # Whoever clears the conversation, or chooses others for it, stops those who speak first: in one step the page
        # would not hear that it is empty.
        for ended in (clear.click, first.clear, second.clear, model.change, other.change):
            ended(None, cancels=[said], api_visibility="private").then(
                parlor.clear, None, talk, api_visibility="private"
            ).then(seated, [model, other], [first, second, beside], api_visibility="private")
    return serving.queued(demo)


def conversation(label: str, elem_id: str) -> gr.Chatbot:
    """Where a visitor reads what was said; words are shown as they are, so that nothing is fetched for them."""
    return gr.Chatbot(
        label=label, height=HEIGHT, elem_id=elem_id, elem_classes="conversation", render_markdown=False, buttons=[]
    )


def seated(model: str, other: str) -> tuple[Any, Any, Any]:
    """Name the conversations after who is in them, the second only where another is."""
    return gr.update(label=model), gr.update(label=other), gr.update(visible=other not in (NOBODY, model))


def launch(demo: gr.Blocks, **options: Any) -> tuple[Any, str, str]:
    """Serve a page; `options` are those of gradio's own `launch`."""
    return serve(demo, CSS, **options)


def wanted() -> tuple[list[str], bool]:
    """The models to serve, and whether they may bring their own code."""
    return serving.wanted(HERE, "models that converse")


def main() -> None:
    """Serve them."""
    names, own_code = wanted()
    launch(build([load(name, own_code) for name in names]))


if __name__ == "__main__":
    main()
