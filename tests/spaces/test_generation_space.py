"""The generation app: its endpoints and their limits, and where it is published."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from PIL import Image

import hfmm
from hfmm import catalogue, factory
from hfmm.cli import demo
from hfmm.explanation.latents import along, between, decode, encode, mean_difference
from hfmm.hub.pipelines import write_index
from hfmm.hub.spaces import APPS, folder_of
from tests.testing import seeded

if find_spec("gradio") is None:
    pytest.skip("the app needs gradio: pip install 'hfmm[demo]'", allow_module_level=True)

APP = folder_of("generation")
SEVENS, ONES = (sorted((APP / "examples").glob(f"{name}_*.png")) for name in ("seven", "one"))
VAE, GLOW, PIXELCNN = (f"{name} ({name})" for name in ("vae", "glow", "pixelcnn"))
ENLARGER = "super resolution (super_resolution)"


@pytest.fixture(scope="module")
def client(generation_address, tmp_path_factory):
    from gradio_client import Client

    return Client(generation_address, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def ask(client):
    """Send files, and what else there is, to an endpoint."""
    from gradio_client import handle_file

    def sent(what):
        if isinstance(what, list):
            return list(map(sent, what))
        return handle_file(str(what)) if isinstance(what, os.PathLike) else what

    return lambda endpoint, *given: client.predict(*map(sent, given), api_name=endpoint)


def generation():
    """The app's module of models."""
    demo.import_app(APP)
    return sys.modules["generation"]


def opened(found):
    return [Image.open(each["image"]).convert("RGB").tobytes() for each in found]


def test_a_seed_draws_the_same_pictures_with_every_model_again(ask):
    first = ask("/sample", [VAE, PIXELCNN], 3, 7)
    assert [each["caption"] or "" for each in first] == [VAE, "", "", PIXELCNN, "", ""]
    assert opened(first) == opened(ask("/sample", [VAE, PIXELCNN], 3, 7))
    assert opened(first) != opened(ask("/sample", [VAE, PIXELCNN], 3, 8))
    assert Image.open(first[0]["image"]).size == (160, 160)


def test_the_way_from_a_picture_ends_at_the_other(ask):
    way = opened(ask("/interpolate", SEVENS[0], ONES[0], GLOW, 0))
    back = opened(ask("/interpolate", ONES[0], SEVENS[0], GLOW, 0))
    assert len(way) == 7
    assert (way[0], way[-1]) == (back[-1], back[0])
    assert way[0] != way[-1]
    drawn = opened(ask("/interpolate", None, None, GLOW, 3))
    assert drawn == opened(ask("/interpolate", None, None, GLOW, 3))


def test_a_picture_is_changed_by_more_and_less_of_a_difference(ask):
    changed = ask("/edit", ONES[0], SEVENS[:3], ONES[:3], VAE, 2)
    assert [each["caption"] for each in changed] == ["-2.0", "-1.0", "+0.0", "+1.0", "+2.0"]
    unchanged = opened(ask("/edit", ONES[0], SEVENS[:3], ONES[:3], VAE, 0))
    assert len(set(unchanged)) == 1
    assert opened(changed)[2] == unchanged[0]


def test_a_picture_is_mended_beside_what_needs_no_model(ask, files):
    shown = ask("/mend", files / "scene.png", ENLARGER)
    assert [each["caption"] for each in shown] == ["given", "bicubic", "the model", "the picture"]
    sizes = [Image.open(each["image"]).size for each in shown]
    assert set(sizes[1:]) == {(320, 320)}


def test_words_are_drawn():
    app = demo.import_app(APP)
    with seeded():
        model = factory.create_module("latent_diffusion").eval()
    maker = app.entry(model, None, "runs/latent")
    assert (maker.name, maker.reads, maker.draws) == ("stable diffusion (runs/latent)", True, False)
    first, again, other = (
        generation().draw(maker, 1, 0, words)[0] for words in ("a red circle", "a red circle", "a blue star")
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()
    names = {function.api_name for function in app.build([maker]).fns.values()}
    assert "say" in names
    assert not {"sample", "interpolate", "edit", "mend"} & names


@pytest.mark.parametrize("name", ["vae", "glow"])
def test_codes_of_every_kind_move_alike(name):
    with seeded():
        model = hfmm.create_model(name).eval()
        pictures = hfmm.create_processor(name)([Image.open(path) for path in ONES[:2]], return_tensors="pt")
    with torch.inference_mode():
        code = encode(model, pictures["pixel_values"])
        one, other = ([part[row : row + 1] for part in code] for row in (0, 1))
        ends = decode(model, between(one, other, 3))
        moved = decode(model, along(one, mean_difference(other, one), torch.tensor([0.0, 1.0])))
        both = decode(model, code)
    torch.testing.assert_close(ends[[0, 2]], both, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved, both, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("endpoint", "given", "message"),
    [
        ("/sample", [[], 3, 0], "Choose a model first"),
        ("/sample", [[VAE], 17, 0], "16"),
        ("/sample", [[VAE], 3, -1], "number from 0|[Mm]inimum"),
        ("/mend", [None, ENLARGER], "Upload a picture first"),
        ("/interpolate", [ONES[0], ONES[1], "vae", 0], "not in the list|There is no model 'vae'"),
        ("/edit", [None, ONES[:1], ONES[:1], VAE, 1], "Upload a picture first"),
        ("/edit", [ONES[0], [], ONES[:1], VAE, 1], "Upload pictures that have it"),
        ("/edit", [ONES[0], ONES[:1] * 33, ONES[:1], VAE, 1], "These are 33 pictures: the limit is 32"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(ask, endpoint, given, message):
    with pytest.raises(Exception, match=message):
        ask(endpoint, *given)


def test_a_model_without_codes_is_offered_where_it_can_answer_only(generation_address):
    app = demo.import_app(APP)
    pixelcnn = app.entry(hfmm.create_model("pixelcnn"), hfmm.create_processor("pixelcnn"), "runs/pixelcnn")
    assert not pixelcnn.has_codes
    names = {function.api_name for function in app.build([pixelcnn]).fns.values()}
    assert "sample" in names
    assert not {"say", "interpolate", "edit", "mend"} & names
    assert {APPS[name] for name in ("unconditional-image-generation", "text-to-image", "image-to-image")} == {
        "generation"
    }


def save_denoiser(folder):
    """A small random pipeline of diffusers' own."""
    with seeded():
        unet = UNet2DModel(
            8,
            1,
            1,
            block_out_channels=(8, 8),
            norm_num_groups=4,
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2,
        )
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)


def test_a_pipeline_of_diffusers_draws_too(generation_address, tmp_path):
    save_denoiser(tmp_path / "noise")
    app = demo.import_app(APP)
    maker = app.load(str(tmp_path / "noise"), own_code=False)
    assert (maker.name, maker.has_codes) == ("ddpm (noise)", False)
    pictures = generation().draw(maker, 2, seed=0)
    assert [picture.size for picture in pictures] == [(160, 160)] * 2
    assert [picture.tobytes() for picture in pictures] == [
        picture.tobytes() for picture in generation().draw(maker, 2, seed=0)
    ]


def test_published_with_its_space_it_runs_where_hfmm_is_not_installed(generation_address, tmp_path):
    with seeded():
        hfmm.create_model("vae").save_pretrained(tmp_path / "vae")
    hfmm.create_processor("vae").save_pretrained(tmp_path / "vae")
    write_index(tmp_path / "vae", catalogue.find("vae"))
    save_denoiser(tmp_path / "noise")
    hfmm.publish(tmp_path / "vae", "me/vae", local_dir=tmp_path / "out", space=True)
    code = """
import sys
sys.modules["hfmm"] = None  # importing it raises
sys.path.insert(0, "")
import app, generation
from PIL import Image
names, own_code = app.wanted()
makers = [app.load(names[0], own_code), app.load(sys.argv[1], False)]
app.build(makers)
pictures = [Image.open(path).convert("RGB") for path in sys.argv[2:]]
print(*(len(generation.draw(maker, 2, 0)) for maker in makers), len(generation.interpolate(makers[0], *pictures)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "noise", SEVENS[0], ONES[0]],
        capture_output=True,
        text=True,
        cwd=tmp_path / "out-space",
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 2 7\n"


def test_requirements_are_exact_and_few():
    lines = (APP / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"diffusers", "gradio", "pillow", "torch", "transformers"}
    assert all("==" in line for line in lines)
