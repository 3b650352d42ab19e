"""Odd pictures through every task that looks at one: an answer, or one clear line."""

import json

import numpy as np
import pytest
from PIL import Image

import hfmm
from hfmm import catalogue
from hfmm.data.images import decode
from hfmm.errors import DataError
from hfmm.explanation import EXPLAINERS, RETRIEVAL
from hfmm.factory import picture_size
from tests.data.files import encoded, natural

CLASSIFIERS = [row for row in catalogue.ready() if row.tasks[0] == "image-classification"]
OF_TASK = {
    "image-captioning": "show_and_tell",
    "image-classification": "lenet5",
    "object-detection": "yolo",
    "image-segmentation": "unet",
    "image-feature-extraction": "pretext",
    "face-verification": "facenet",
    "image-to-image": "autoencoder",
    "image-text-retrieval": "layer_norm_ranking",
    "image-text-to-text": "llava",
    "visual-question-answering": "vilbert",
    "zero-shot-image-classification": "devise",
}
HEADS = {"visual-question-answering": "AutoModelForVisualQuestionAnswering"}  # where it is not the first
ASKED = ["what color is the star?"]
TEXTS = {
    RETRIEVAL: ["a red star", "a small blue ring"],
    **dict.fromkeys(("visual-question-answering", "image-text-to-text"), ASKED),
}


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(natural(40, 30), "JPEG", exif=exif)


def animated():
    frames = [natural(24, 24, seed).convert("P") for seed in range(3)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def deep():
    return Image.fromarray(np.linspace(0, 65535, 32 * 24).reshape(24, 32).astype(np.uint16))


PICTURES = {  # name with suffix to bytes
    "gray.png": encoded(natural(40, 30).convert("L"), "PNG"),
    "gray_alpha.png": encoded(natural(40, 30).convert("LA"), "PNG"),
    "alpha.png": encoded(natural(40, 30).convert("RGBA"), "PNG"),
    "palette.png": encoded(natural(40, 30).convert("P"), "PNG"),
    "one_bit.png": encoded(natural(40, 30).convert("1"), "PNG"),
    "inks.jpg": encoded(natural(40, 30).convert("CMYK"), "JPEG"),
    "deep.png": encoded(deep(), "PNG"),
    "animated.gif": animated(),
    "turned.jpg": turned(),
    "one_pixel.png": encoded(Image.new("RGB", (1, 1), (9, 99, 200)), "PNG"),
    "three_pixels.png": encoded(natural(3, 1), "PNG"),
    "line.png": encoded(natural(150, 1), "PNG"),
}
REFUSED = {
    "float.tiff": (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "floating-point pixels"),
    "long_line.png": (encoded(natural(1, 400), "PNG"), "1 x 400"),
    "empty.png": (b"", "empty.png"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Of each task a saved model with random weights."""
    folders = {}
    for task, name in OF_TASK.items():
        folders[task] = tmp_path_factory.mktemp(task)
        hfmm.create_model(name, auto=HEADS.get(task)).save_pretrained(folders[task])
        hfmm.create_processor(name).save_pretrained(folders[task])
    return folders


def asked(path, task):
    """A picture as often as a task needs one, and texts where it is about them."""
    pictures = [str(path)] * (2 if task == "face-verification" else 1)
    output = ["--output", str(path.parent / "edited")] if task == "image-to-image" else []
    return ["--image", *pictures, *(["--text", *TEXTS[task]] if task in TEXTS else []), *output]


@pytest.mark.parametrize("task", OF_TASK)
@pytest.mark.parametrize("name", PICTURES)
def test_an_odd_picture_has_a_prediction(call, models, tmp_path, task, name):
    (tmp_path / name).write_bytes(PICTURES[name])
    code, said, complaint = call("predict", str(models[task]), *asked(tmp_path / name, task), "--json")
    assert code == 0, complaint
    assert all(row["image"].endswith(name) for row in json.loads(said))
    assert "Traceback" not in complaint


@pytest.mark.parametrize("task", OF_TASK)
@pytest.mark.parametrize("name", REFUSED)
def test_a_picture_that_cannot_be_read_is_refused_in_one_line(call, models, tmp_path, task, name):
    data, reason = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    code, said, complaint = call("predict", str(models[task]), *asked(tmp_path / name, task))
    assert (code, said) == (3, "")
    (line,) = [line for line in complaint.splitlines() if line.startswith("hfmm: ")]
    assert reason in line
    assert name in line
    assert "Traceback" not in complaint


@pytest.mark.parametrize("task", OF_TASK)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_memory_is_explained_as_its_file_is(models, tmp_path, task, name):
    """A notebook gives what Pillow opened, of any mode and not turned upright."""
    (tmp_path / name).write_bytes(PICTURES[name])
    options = {"texts": TEXTS[task]} if task in TEXTS else {}
    of_file = hfmm.explain(models[task], tmp_path / name, **options)
    with Image.open(tmp_path / name) as opened:
        in_memory = hfmm.explain(models[task], opened, **options)
    assert in_memory.to_dict() == of_file.to_dict()
    assert in_memory.picture.tobytes() == of_file.picture.tobytes()


def test_a_truncated_picture_in_memory_is_told_of(models, tmp_path):
    (tmp_path / "half.png").write_bytes(PICTURES["alpha.png"][:300])
    with Image.open(tmp_path / "half.png") as opened, pytest.raises(DataError, match="truncated or damaged"):
        hfmm.explain(models["image-classification"], opened)


@pytest.mark.parametrize("row", CLASSIFIERS, ids=lambda row: row.name)
def test_every_classifier_prepares_odd_pictures(row):
    processor = hfmm.create_processor(row.name)
    prepared = processor([decode(data) for data in PICTURES.values()], return_tensors="np")["pixel_values"]
    assert prepared.shape == (len(PICTURES), 3, *picture_size(processor))
    assert np.isfinite(prepared).all()


def test_every_task_that_looks_at_pictures_is_here():
    assert set(OF_TASK) == set(EXPLAINERS) - {"unconditional-image-generation", "text-to-image"}
