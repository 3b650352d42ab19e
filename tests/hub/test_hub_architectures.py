"""Every architecture that is ready is published and loaded by its id, with hfmm and without it, with equal outputs."""

import pytest
import torch
from safetensors.torch import load_file

from hfmm import catalogue, factory
from hfmm.hub.pipelines import write_index
from tests.testing import seeded

READY = list(catalogue.ready())
WORDS = {"text": ["a red star", "a small blue ring"], "padding": True}
TEXTS = {
    "image-text-retrieval": WORDS,
    "zero-shot-image-classification": WORDS,
    "text-to-image": "a small red star",
    "image-text-to-text": {"text": ["<image> what color is it", "where is it <image>"], "padding": True},
}
ROWS = [
    {
        "name": row.name,
        "auto": next(auto for auto, _ in row.auto if auto != "AutoBackbone"),  # it takes folders for model names
        "processor": row.processors[0][0],
        "pipeline": row.pipeline,
        "text": next((text for task, text in TEXTS.items() if task in row.tasks), {}),
    }
    for row in READY
]


def push(rows, folder):
    import hfmm

    for row in rows:
        hfmm.publish(f"{folder}/{row['name']}", repo_id=f"me/{row['name']}")


def compute(rows, source, file, remote_code, by_id=True):
    """Load every model from `source/name` and write what it makes of two pictures.

    Returns:
        For each name the module of the model's class, and whether its configuration is of its own configuration class.
    """
    import torch
    import transformers
    from PIL import Image
    from safetensors.torch import save_file

    if not remote_code:
        import hfmm  # noqa: F401  which is all that loading needs
    torch.set_num_threads(1)
    settings = {"trust_remote_code": True} if remote_code else {}
    values = torch.randint(256, (2, 80, 90, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = [Image.fromarray(value.numpy()) for value in values]
    names = ("feature_maps", "logits", "image_embeds", "log_likelihood", "reconstruction", "logits_per_image")
    outputs, modules = {}, {}
    for row in rows:
        where = f"{source}/{row['name']}"
        if row["auto"] == "DiffusionPipeline":
            from diffusers import DiffusionPipeline

            pipeline = DiffusionPipeline.from_pretrained(where)
            generator = torch.Generator().manual_seed(0)
            count_or_text = row["text"] or 2
            images = pipeline(count_or_text, generator=generator, num_inference_steps=2, output_type="pt").images
            outputs[f"{row['name']}.images"] = images.contiguous()
            modules[row["name"]] = [type(pipeline).__module__, True]
            continue
        model = getattr(transformers, row["auto"]).from_pretrained(where, **settings).eval()
        processor = getattr(transformers, row["processor"]).from_pretrained(where, **settings)
        inputs = processor(images=pictures, return_tensors="pt", **row["text"])
        torch.manual_seed(0)  # upstream's ViLT draws the order of patches, which moves the last digit
        with torch.no_grad():
            output = model(**inputs)
        found = {"inputs": inputs["pixel_values"]}
        name = next(name for name in names if name in output)
        found["output"] = output[name][-1] if name == "feature_maps" else output[name]
        if row["pipeline"]:
            from diffusers import DiffusionPipeline

            trusted = {"trust_remote_code": True} if by_id else {}  # diffusers never loads a class by its name there
            pipeline = DiffusionPipeline.from_pretrained(where, **trusted)
            generator = torch.Generator().manual_seed(0)
            found["images"] = pipeline(2, generator=generator, output_type="pt").images
        if model.can_generate():
            found["words"] = model.generate(**inputs)
        outputs |= {f"{row['name']}.{key}": value.contiguous() for key, value in found.items()}
        modules[row["name"]] = [type(model).__module__, type(model.config) is model.config_class]
    save_file(outputs, file)
    return modules


@pytest.fixture(scope="module")
def published(hub_of_module, tmp_path_factory):
    """Outputs and modules of models in folders, and by id with hfmm and without."""
    home = tmp_path_factory.mktemp("home")
    saved = home / "saved"
    for row in ROWS:
        with seeded():
            factory.create_model(row["name"], auto=row["auto"]).save_pretrained(saved / row["name"])
        factory.create_processor(row["name"]).save_pretrained(saved / row["name"])
        write_index(saved / row["name"], catalogue.find(row["name"]))
    hub_of_module.run(push, home, rows=ROWS, folder=saved)
    files = {name: home / f"{name}.safetensors" for name in ("folder", "hfmm", "bare")}
    given = {"rows": ROWS, "source": "me"}
    found = {
        "folder": compute(ROWS, saved, files["folder"], remote_code=False, by_id=False),
        "hfmm": hub_of_module.run(compute, home / "hfmm", **given, file=files["hfmm"], remote_code=False),
        "bare": hub_of_module.run(
            compute, home / "bare", without=("hfmm",), **given, file=files["bare"], remote_code=True
        ),
    }
    return {name: (load_file(files[name]), modules) for name, modules in found.items()}


@pytest.mark.parametrize("row", READY, ids=lambda row: row.name)
def test_with_hfmm_it_loads_by_id_and_trusts_nothing(published, row):
    assert same(published["hfmm"][0], published["folder"][0], row) == []
    assert published["hfmm"][1][row.name] == [factory.model_class(row).__module__, True]


@pytest.mark.parametrize("row", READY, ids=lambda row: row.name)
def test_without_hfmm_it_loads_by_id_with_its_own_code(published, row):
    assert same(published["bare"][0], published["folder"][0], row) == []
    module, one_config_class = published["bare"][1][row.name]
    assert one_config_class
    if row.origin == "hfmm":
        assert module.startswith("transformers_modules.me.")
        assert module.endswith(f".modeling_{row.name}")
    else:
        assert module == factory.model_class(row).__module__


def same(found, expected, row):
    """Names of the outputs of an architecture that differ in any bit."""
    names = [name for name in expected if name.startswith(f"{row.name}.")]
    of_model = set() if row.auto[0][0] == catalogue.PIPELINE else {f"{row.name}.inputs", f"{row.name}.output"}
    expected_names = of_model | ({f"{row.name}.images"} if row.pipeline or not of_model else set())
    assert expected_names <= {*names} <= found.keys()
    return [name for name in names if not torch.equal(found[name], expected[name])]
