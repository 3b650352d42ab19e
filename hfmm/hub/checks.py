"""What never leaves the house: pickles, weights that are not numbers, tokens and home directories."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

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
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            kinds = [kind for kind, pattern in PRIVATE.items() if pattern.search(line)]
            kinds += ["a home directory"] if len(home) > 2 and home in line else []
            if kinds:
                raise DataError(
                    f"{path.relative_to(folder)}, line {number}, holds {kinds[0]}, which would be public: take it out"
                )
