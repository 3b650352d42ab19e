"""The pipeline of a generator of pictures: `model_index.json` beside the model, and its code in a repository.

The model lies at the root, where `AutoModel` looks for it; diffusers looks there, too, for a component without a folder
of its own. It takes the class of the component from the package that the index names, and its check of what the Hub has
knows no package of ours: so the index names transformers, where registration (`hfmm/registration.py`), or else the
published pipeline itself, makes the class known.
"""

import json
from pathlib import Path
from typing import Any

from hfmm.catalogue import Row
from hfmm.files import write_atomically
from hfmm.hub.flatten import basename, flatten
from hfmm.registration import pipeline_module

INDEX = "model_index.json"
COMPONENT = "model"  # the argument of every pipeline


def write_index(folder: Path, row: Row, with_code: bool = False) -> None:
    """Write the index of the pipeline of a folder's model.

    Args:
        folder: Holds the model.
        row: Of its architecture; one without a pipeline gets no index.
        with_code: The pipeline's code lies beside it (what is published); by its name alone it is found after
            `import hfmm`.
    """
    if not row.pipeline:
        return
    index: dict[str, Any] = {
        "_class_name": [basename(pipeline_module(row)), row.pipeline] if with_code else row.pipeline,
        COMPONENT: ["transformers", dict(row.auto)["AutoModel"]],
    }
    write_atomically(folder / INDEX, json.dumps(index, indent=2) + "\n")


def code_of_pipeline(row: Row, code: dict[str, str]) -> dict[str, str]:
    """The files that a pipeline needs beside those of its model: file name to text.

    diffusers copies only the files that the pipeline's own names, so it names all.

    Args:
        row: An architecture with a pipeline.
        code: The files of its model.
    """
    files = flatten([pipeline_module(row)])
    entry = f"{basename(pipeline_module(row))}.py"
    model = dict(row.auto)["AutoModel"]
    here = (entry, f"modeling_{row.name}.py")
    siblings = sorted(name.removesuffix(".py") for name in {**code, **files} if name not in here)
    lines = ["# Appended by hfmm: the files to copy, and the class that diffusers will look for in transformers."]
    lines += [f"from .{name} import __name__ as _{name}  # noqa: E402" for name in siblings]
    lines += [f"from .modeling_{row.name} import {model}  # noqa: E402", "import transformers  # noqa: E402"]
    lines.append(f"transformers.{model} = {model}")
    files[entry] += "\n\n" + "\n".join(lines) + "\n"
    return files
