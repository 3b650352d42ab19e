"""The retrieval app: its endpoints and their limits, and where it is published."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from PIL import Image

from hfmm import catalogue
from hfmm.cli import demo
from hfmm.errors import UsageError
from hfmm.hub import spaces
from hfmm.hub.spaces import APPS, folder_of
from tests.retrieval import models

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

APP = folder_of("retrieval")
EXAMPLES = sorted((APP / "examples").glob("*.png"))
CLIP = "clip (clip)"


@pytest.fixture(scope="module")
def client(retrieval_address, tmp_path_factory):
    from gradio_client import Client

    return Client(retrieval_address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def ask(client):
    """Send files, and what else there is, to an endpoint."""
    from gradio_client import handle_file

    def sent(what):
        if isinstance(what, list):
            return [handle_file(str(path)) for path in what]
        return handle_file(str(what)) if isinstance(what, os.PathLike) else what

    return lambda endpoint, *given: client.predict(*map(sent, given), api_name=endpoint)


def captions(found):
    return [each["caption"] for each in found]


def test_words_order_a_collection_as_the_model_does(ask):
    found = captions(ask("/search_words", "a red circle", EXAMPLES, CLIP))
    model, processor = models.clip()
    pictures = [Image.open(path).convert("RGB") for path in EXAMPLES]
    with torch.inference_mode():
        out = model(**processor(images=pictures, text=["a red circle"], return_tensors="pt"))
    cosines = (out.image_embeds @ out.text_embeds.T)[:, 0].tolist()
    assert sorted(found) == sorted(f"{path.name}: {cosine:.2f}" for path, cosine in zip(EXAMPLES, cosines, strict=True))
    shown = [float(caption.rpartition(" ")[2]) for caption in found]
    assert shown == sorted(shown, reverse=True)


def test_a_picture_finds_itself_first(ask):
    assert captions(ask("/search_picture", EXAMPLES[2], EXAMPLES, CLIP))[0] == f"{EXAMPLES[2].name}: 1.00"


def test_labels_share_a_picture_as_in_zero_shot_classification(ask):
    labels = ["red circle", "blue square", "green star"]
    shares = ask("/label", EXAMPLES[0], "\n".join(labels), "a {}", CLIP)
    model, processor = models.clip()
    texts = [f"a {label}" for label in labels]
    picture = Image.open(EXAMPLES[0]).convert("RGB")
    with torch.inference_mode():
        out = model(**processor(images=[picture], text=texts, padding=True, return_tensors="pt"))
    expected = dict(zip(labels, out.logits_per_image.softmax(-1)[0].tolist(), strict=True))
    found = {each["label"]: each["confidence"] for each in shares["confidences"]}
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("endpoint", "given", "message"),
    [
        ("/search_words", ["", EXAMPLES[:2], CLIP], "Write what to search for first"),
        ("/search_words", ["red", [], CLIP], "Upload the pictures to search first"),
        ("/search_words", ["red circle " * 40, EXAMPLES[:1], CLIP], "has 82 tokens, and the model takes 64"),
        ("/search_words", ["red", EXAMPLES[:1] * 129, CLIP], "These are 129 pictures: the limit is 128"),
        ("/search_picture", [None, EXAMPLES[:2], CLIP], "Upload a picture first"),
        ("/label", [None, "a\nb", "a {}", CLIP], "Upload a picture first"),
        ("/label", [EXAMPLES[0], "red", "a {}", CLIP], "This takes 2 to 50 labels"),
        ("/label", [EXAMPLES[0], "red\nblue\nred ", "a {}", CLIP], "Labels that repeat: red"),
        ("/label", [EXAMPLES[0], "red\nblue", "a thing", CLIP], "'a thing' is no template"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(ask, endpoint, given, message):
    with pytest.raises(Exception, match=message):
        ask(endpoint, *given)


def test_a_picture_that_is_none_is_refused(ask, files):
    with pytest.raises(Exception, match="no picture that can be read"):
        ask("/search_words", "red", [EXAMPLES[0], files / "words.png"], CLIP)


def test_endpoints_are_named(client):
    endpoints = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/label", "/search_picture", "/search_words"]


def test_models_that_embed_no_words_are_refused():
    app = demo.import_app(APP)
    with pytest.raises(UsageError, match="does not embed pictures and words"):
        app.entry(*models.pairs(), "runs/pairs")
    assert APPS["image-text-retrieval"] == APPS["zero-shot-image-classification"] == "retrieval"


def test_published_it_runs_where_hfmm_is_not_installed(files, retrieval_address, tmp_path):
    tree = tmp_path / "space"
    tree.mkdir()
    spaces.stage(APP, tree, str(files / "clip"), catalogue.find("clip"))
    assert json.loads((tree / "models.json").read_text())["trust_remote_code"] is False
    code = """
import sys
sys.modules["hfmm"] = None  # importing it raises
sys.path.insert(0, "")
import app
from PIL import Image
names, own_code = app.wanted()
finder = app.load(names[0], own_code)
app.build([finder])
pictures = [Image.open(path).convert("RGB") for path in sys.argv[1:]]
print(app.search(finder, pictures[1], pictures)[0][0], len(app.classify(finder, pictures[0], ["red", "blue"], "a {}")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, EXAMPLES[:3])],
        capture_output=True,
        text=True,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 2\n"


def test_requirements_are_exact_and_few():
    lines = (APP / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"gradio", "pillow", "torch", "transformers"}
    assert all("==" in line for line in lines)
