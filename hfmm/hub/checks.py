"""What never leaves the house: pickles, weights that are not numbers, tokens and home directories."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig
from transformers.core_model_loading import revert_weight_conversion

from hfmm.catalogue import Row
from hfmm.errors import DataError

PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"}
TEXTS = {".py", ".md", ".json", ".yaml", ".yml", ".txt", ".jinja", ""}
PRIVATE = {
    "a token": re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}\b"),
    "a home directory": re.compile(r"(?<![\w.:])/(?:home|Users|root)/[^\s/\"']+|\b[A-Za-z]:\\+Users\\"),
}


def check_no_pickles(folder: Path) -> None:
    """Refuse a folder that holds files which can run code when they are loaded.

    Raises:
        DataError: Naming the first.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLES:
            raise DataError(
                f"{path} can hold a pickle, which runs code when loaded: only safetensors are published; move it away"
            )


def check_finite(weights: Iterable[Path]) -> None:
    """Refuse weights that are damaged, infinite or not a number.

    Raises:
        DataError: Naming the file and the first such tensor.
    """
    for path in weights:
        try:
            with safe_open(path, framework="pt") as file:
                wrong = next((name for name in file.keys() if not _is_finite(file.get_tensor(name))), None)  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"{path} is damaged ({' '.join(str(error).split())}): save or train the model again"
            ) from error
        if wrong is not None:
            raise DataError(f"{path}: {wrong} is not finite: a model that diverged is not published")


def check_fits(folder: Path, row: Row) -> None:
    """Refuse weights that are not those of the model that the configuration describes.

    Raises:
        DataError: Naming the first tensor that is missing, superfluous or of another shape, or a wrong configuration.
    """
    try:
        config = AutoConfig.from_pretrained(folder)
        named = (config.architectures or [row.auto[0][1]])[0]
        auto = next((auto for auto, name in row.auto if name == named), None)
        if auto is None:
            raise ValueError(f"{row.name} has no class {named}")
        with torch.device("meta"):
            kind = getattr(transformers, auto)
            model = kind(config) if auto == named else kind.from_config(config)
    except (ValueError, TypeError, KeyError, StrictDataclassError) as error:
        said = " ".join(str(error.__cause__ or error).split())
        raise DataError(f"config.json describes no model ({said}): save or train it again") from error
    saved = revert_weight_conversion(model, model.state_dict())  # files keep the names of upstream's older checkpoints
    expected = {name: list(value.shape) for name, value in saved.items()}
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    tied = model.all_tied_weights_keys.keys()  # stored once
    wrong = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    wrong = sorted(name for name in wrong if name in found or name not in tied)
    if wrong:
        shapes = (
            f"{found.get(wrong[0], 'not there')} in the weights, {expected.get(wrong[0], 'not there')} in the model"
        )
        raise DataError(f"the weights are not those of config.json: {wrong[0]} is {shapes}: save or train it again")


def _is_finite(tensor: torch.Tensor) -> bool:
    exact = tensor.float() if tensor.dtype.itemsize == 1 and tensor.is_floating_point() else tensor  # float8
    return not tensor.is_floating_point() or bool(exact.isfinite().all())


def check_private(folder: Path) -> None:
    """Refuse texts with a token or a path below a home directory in them.

    Raises:
        DataError: Naming file and line.
    """
    home = f"{Path.home()}/"
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix not in TEXTS:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            kinds = [kind for kind, pattern in PRIVATE.items() if pattern.search(line)]
            kinds += ["a home directory"] if len(home) > 2 and home in line else []
            if kinds:
                raise DataError(
                    f"{path.relative_to(folder)}, line {number}, holds {kinds[0]}, which would be public: take it out"
                )
