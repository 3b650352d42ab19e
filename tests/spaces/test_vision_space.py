"""The vision app: its endpoints and their limits, where it is published, and what `hfmm demo` opens."""

import json
import os
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

import hfmm
from hfmm.cli import demo
from hfmm.errors import UsageError
from hfmm.hub.spaces import APPS, folder_of

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

APP = folder_of("vision")
EXAMPLES = sorted((APP / "examples").glob("*.png"))
VIT, LENET, YOLO, SEGFORMER, CLIP = (
    f"{name} ({place})"
    for name, place in (
        ("vit", "vit"),
        ("lenet5", "lenet5"),
        ("yolo", "yolo"),
        ("segformer", "segformer"),
        ("clip vision model", "clip_vision_model"),
    )
)


@pytest.fixture(scope="module")
def client(vision_address, tmp_path_factory):
    from gradio_client import Client

    return Client(vision_address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def ask(client):
    """Send files, and what else there is, to an endpoint."""
    from gradio_client import handle_file

    def sent(what):
        many = isinstance(what, list) and what and isinstance(what[0], os.PathLike)
        if many:
            return [handle_file(str(path)) for path in what]
        return handle_file(str(what)) if isinstance(what, os.PathLike) else what

    return lambda endpoint, *given: client.predict(*map(sent, given), api_name=endpoint)


def test_a_vision_transformer_tells_class_and_place(ask, files):
    classes, looked = ask("/classify", files / "scene.png", VIT)
    confidences = [each["confidence"] for each in classes["confidences"]]
    assert len(confidences) == 5
    assert confidences == sorted(confidences, reverse=True)
    assert classes["label"] == classes["confidences"][0]["label"]
    assert [each["caption"] for each in looked] == ["what it saw", "where it looked"]
    assert Image.open(looked[1]["image"]).size == (160, 160)


def test_without_attention_the_picture_alone_is_shown(ask, files):
    _, looked = ask("/classify", files / "scene.png", LENET)
    assert [each["caption"] for each in looked] == ["what it saw"]


def test_detectors_and_segmenters_draw_over_the_picture(ask, files):
    drawn, things = ask("/find", files / "scene.png", YOLO)
    assert Image.open(drawn).width == 480
    assert things["headers"] == ["what", "score", "where"]
    drawn, things = ask("/find", files / "scene.png", SEGFORMER)
    assert Image.open(drawn).height > 480  # a key is under it
    shares = [int(row[1].rstrip("%")) for row in things["data"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=len(shares))


def test_one_face_is_one_person_from_the_threshold_on(ask):
    answer, cosine = ask("/compare_faces", EXAMPLES[0], EXAMPLES[0], CLIP, 0.9)
    assert answer == "The same person: cosine 1.00, threshold 0.90."
    assert cosine == pytest.approx(1, abs=1e-4)
    answer, cosine = ask("/compare_faces", EXAMPLES[0], EXAMPLES[3], CLIP, 1.0)
    assert answer.startswith("Two different persons: ")
    assert cosine < 1


def test_a_search_puts_the_same_picture_first(ask):
    found = ask("/search_faces", EXAMPLES[2], EXAMPLES[:4], CLIP)
    assert found[0]["caption"] == f"{EXAMPLES[2].name}: 1.00"
    cosines = [float(each["caption"].rpartition(" ")[2]) for each in found]
    assert cosines == sorted(cosines, reverse=True)


def test_every_picture_is_on_the_map(ask):
    chart, nearest = ask("/map", EXAMPLES[:5], CLIP)
    sheet = np.asarray(Image.open(chart).convert("RGB"))
    cells = sheet.reshape(3, sheet.shape[0] // 3, 3, sheet.shape[1] // 3, 3)
    assert sum(bool((cells[row, :, column] < 250).any()) for row in range(3) for column in range(3)) == 5
    assert Image.open(nearest).width == 5 * 86 + 6  # the query and four others


@pytest.mark.parametrize(
    ("endpoint", "given", "message"),
    [
        ("/classify", ["words.png", VIT], "no picture that can be read"),
        ("/classify", ["huge.png", VIT], "the limit is 40 megapixels"),
        ("/classify", [None, VIT], "Upload a picture first"),
        ("/find", ["words.txt", YOLO], "no picture that can be read"),
        ("/compare_faces", ["scene.png", None, CLIP, 0.5], "Upload a picture first"),
        ("/search_faces", ["scene.png", [], CLIP], "Upload the faces to search first"),
        ("/map", [["scene.png", "scene.png", "scene.png"], VIT], "A map needs 4 pictures or more"),
        ("/map", [["scene.png"] * 4, VIT], "All pictures have the same code"),
        ("/map", [["scene.png"] * 65, VIT], "These are 65 pictures: the limit is 64"),
        ("/map", [["scene.png"] * 3 + ["words.png"], VIT], "no picture that can be read"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(ask, files, endpoint, given, message):
    def at(what):
        if isinstance(what, list):
            return [files / name for name in what]
        return files / what if isinstance(what, str) and what.endswith((".png", ".txt")) else what

    with pytest.raises(Exception, match=message):
        ask(endpoint, *map(at, given))


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/a.png", "file:///etc/hostname", "/etc/hostname"])
def test_addresses_and_paths_of_the_server_are_refused_among_several_files(vision_address, place):
    sent = [{"path": place, "meta": {"_type": "gradio.FileData"}}] * 4
    body = json.dumps({"data": [sent, VIT]}).encode()
    request = urllib.request.Request(
        f"{vision_address}gradio_api/call/map", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{vision_address}gradio_api/call/map/{event}") as answer:
        assert answer.read().decode().startswith("event: error")


def test_endpoints_are_named_and_described(client, vision_address):
    endpoints = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    assert sorted(endpoints) == ["/classify", "/compare_faces", "/find", "/map", "/search_faces"]
    with urllib.request.urlopen(f"{vision_address}gradio_api/info") as answer:
        described = json.load(answer)["named_endpoints"]
    assert all("Args" not in each["description"] and each["description"] for each in described.values())


def test_demo_opens_the_tabs_that_its_models_can_fill(files, vision_address):
    app, page = demo.open_app([str(files / "lenet5"), str(files / "yolo")])
    names = {function.api_name for function in page.fns.values()}
    assert {"classify", "find", "map"} <= names
    assert not {"compare_faces", "search_faces"} & names
    assert page._queue.max_size == 20
    assert app.__file__ == str(APP / "app.py")
    with pytest.raises(UsageError, match="no one app shows all of image-captioning, object-detection"):
        demo.open_app([str(files / "show_and_tell"), str(files / "yolo")])


def test_every_task_of_the_app_has_it():
    tasks = ("image-classification", "object-detection", "image-segmentation", "face-verification")
    assert {APPS[task] for task in tasks} == {"vision"}


def test_published_with_its_space_it_runs_where_hfmm_is_not_installed(files, vision_address, tmp_path):
    hfmm.publish(files / "lenet5", "me/lenet", local_dir=tmp_path / "out", space=True)
    code = """
import sys
sys.modules["hfmm"] = None  # importing it raises
sys.path.insert(0, "")
import app, vision
from PIL import Image
names, own_code = app.wanted()
seer = app.load(names[0], own_code)
app.build([seer])
pictures = [Image.open(path).convert("RGB") for path in sys.argv[1:]]
classes, panels = vision.classify(seer, pictures[0])
chart, nearest = vision.chart(seer, pictures)
print(seer.kind, len(classes), len(panels), chart.size, nearest.size)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, EXAMPLES[:4])],
        capture_output=True,
        text=True,
        cwd=tmp_path / "out-space",
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ForImageClassification 2 1 (640, 640)")
    written = {path.name for path in (tmp_path / "out-space").iterdir()}
    assert written >= {
        "app.py",
        "desk.py",
        "vision.py",
        "serving.py",
        "uploads.py",
        "parts",
        "models.json",
        "requirements.txt",
    }


def test_requirements_are_exact_and_few():
    lines = (APP / "requirements.txt").read_text().split()
    named = {line.partition("==")[0] for line in lines}
    assert named == {"gradio", "pillow", "scikit-learn", "torch", "transformers"}
    assert all("==" in line for line in lines)
