"""A process that has never heard of hfmm: loads what is published and answers what came out, one JSON line a request.

It is run as a script (see `tests/testing_hub.py`) and imports nothing of this repository.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping

import torch
import transformers
from safetensors.torch import load_file, save_file

sys.modules["hfmm"] = None  # `import hfmm` raises
torch.set_num_threads(1)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever the libraries print is no answer


def tensors(output, name=""):
    """All tensors of an output by name, nested ones by dotted name."""
    if isinstance(output, torch.Tensor):
        return {name: output.contiguous().clone()}
    if isinstance(output, Mapping):
        items = output.items()
    else:
        items = enumerate(output) if isinstance(output, list | tuple) else ()
    return {key: value for inner, part in items for key, value in tensors(part, f"{name}.{inner}".strip(".")).items()}


@torch.no_grad()
def run(request):
    """Load a model, and run it on the tensors of a file; its outputs go to another file."""
    where = request["where"]
    found = {}
    if request.get("processor"):
        processor = getattr(transformers, request["processor"]).from_pretrained(where, trust_remote_code=True)
        found["processor"] = f"{type(processor).__module__}.{type(processor).__name__}"
    model = getattr(transformers, request["auto"]).from_pretrained(where, trust_remote_code=True).eval()
    found["model"] = f"{type(model).__module__}.{type(model).__name__}"
    found["one_config_class"] = type(model.config) is model.config_class
    inputs = load_file(request["inputs"])
    outputs = {"forward": model(**inputs)}
    if request.get("generate"):
        inputs.pop("labels", None)
        outputs["generate"] = model.generate(**inputs, **request["generate"])
    save_file(tensors(outputs), request["outputs"])
    if request.get("save_to"):
        model.save_pretrained(request["save_to"])
        if request.get("processor"):
            processor.save_pretrained(request["save_to"])
    return found


@torch.no_grad()
def draw(request):
    """Load a pipeline, and what AutoModel makes of the same folder, and let both draw from one seed."""
    from diffusers import DiffusionPipeline

    where, count, seed = request["where"], request["pipeline"], request["seed"]
    pipeline = DiffusionPipeline.from_pretrained(where, trust_remote_code=True)
    images = pipeline(count, generator=torch.Generator().manual_seed(seed), output_type="pt").images
    model = transformers.AutoModel.from_pretrained(where, trust_remote_code=True).eval()
    expected = model.generate_images(count, generator=torch.Generator().manual_seed(seed))
    save_file({"pipeline": images.contiguous(), "model": expected.contiguous()}, request["outputs"])
    return {"pipeline": type(pipeline).__module__, "model": type(pipeline.model).__module__}


def parts(request):
    """Load a pipeline whose parts are upstream's, and write its weights."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(request["where"])
    modules = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    weights = {f"{name}.{key}": value for name, part in modules.items() for key, value in part.state_dict().items()}
    save_file({name: value.contiguous() for name, value in weights.items()}, request["parts"])
    return {"pipeline": type(pipeline).__module__}


def answer_to(request):
    """What is asked for, by what the request holds."""
    if "parts" in request:
        return parts(request)
    return draw(request) if "pipeline" in request else run(request)


for line in sys.stdin:
    try:
        request = json.loads(line)
        answer = answer_to(request)
    except Exception:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), file=answers, flush=True)
