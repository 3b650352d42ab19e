"""What guards the inputs of all apps, also after gradio has made a new input for a visitor."""

import asyncio
from importlib.util import find_spec

import pytest
from PIL import Image

from hfmm.cli import demo
from hfmm.hub.spaces import folder_of

if find_spec("gradio") is None:
    pytest.skip("the apps need gradio: pip install 'hfmm[demo]'", allow_module_level=True)

import gradio as gr
from gradio.components.multimodal_textbox import MultimodalData
from gradio.data_classes import FileData, ListFiles


@pytest.fixture(scope="module")
def uploads():
    import sys

    demo.import_app(folder_of("captioning"))
    return sys.modules["uploads"]


def inputs_of(uploads):
    """Each kind of guarded input, and what it is sent for a file."""
    files = {"file_count": "multiple"}
    return [
        (uploads.guarded(gr.Image()), lambda sent: FileData(path=sent)),
        (uploads.guarded_several(gr.File(**files), 2), lambda sent: ListFiles(root=[FileData(path=sent)])),
        (
            uploads.guarded_words(gr.MultimodalTextbox(**files), 2),
            lambda sent: MultimodalData(text="what", files=[FileData(path=sent)]),
        ),
    ]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("times", [0, 1, 2])
def test_inputs_stay_guarded_when_gradio_makes_them_anew(uploads, tmp_path, number, times):
    component, wrap = inputs_of(uploads)[number]
    for _ in range(times):
        component = component.__class__(**{**component.constructor_args, "render": False})  # as for a chosen example
    Image.new("1", (13_000, 13_000)).save(tmp_path / "huge.png")
    with pytest.raises(gr.Error, match="the limit is 40 megapixels"):
        component.preprocess(wrap(str(tmp_path / "huge.png")))
    with pytest.raises(gr.Error, match="Web addresses are not fetched"):
        asyncio.run(component.async_move_resource_to_block_cache("https://example.org/a.png"))
    assert component.get_block_name() in ("image", "file", "multimodaltextbox")


def test_what_guarded_inputs_give(uploads, tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    image, several, words = (
        component.preprocess(wrap(str(tmp_path / "a.png"))) for component, wrap in inputs_of(uploads)
    )
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert [name for name, _ in several] == ["a.png"]
    assert (words[0], words[1][0][0]) == ("what", str(tmp_path / "a.png"))
