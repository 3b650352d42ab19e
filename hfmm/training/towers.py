"""What a frozen picture tower makes of a picture, computed once, and kept on disk for every later visit and run.

A file is named by the tower's weights, what is done to pictures before it, the precision, and the picture.

Axes: P pictures, L layers that are read, N patches and the class token, V width of the tower.
"""

import copy
import errno
import os
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hfmm.data.columns import pictures_of
from hfmm.data.dialogues import DialogueCollator
from hfmm.data.examples import Example
from hfmm.errors import ResourceError, UsageError
from hfmm.factory import picture_size

KEY = 16  # bytes of a picture's name
FEATURES = "features"


class Pictures(NamedTuple):
    """Pictures of a batch on their way to the tower, in order.

    Attributes:
        is_known: (P,) bool.
        features: (known, L, N, V), None where none is known.
        pixel_values: (others, 3, height, width), None where all are known.
        keys: (others, KEY) uint8, None where all are known.
    """

    is_known: Tensor
    features: Tensor | None
    pixel_values: Tensor | None
    keys: Tensor | None


class Store:
    """Features by picture, each in a file of its own, which readers see whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: bytes) -> Tensor | None:
        """The features of a picture, or None. (L, N, V)."""
        try:
            return load(self._path(key).read_bytes())[FEATURES]
        except (OSError, SafetensorError):  # not there, or damaged: computed and written anew
            return None

    def write(self, key: bytes, features: Tensor) -> None:
        """Keep the features of a picture.

        Raises:
            ResourceError: The disk is full.
        """
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(save({FEATURES: features.contiguous()}))
            Path(file.name).replace(path)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise ResourceError(
                f"{self.folder}: disk full while keeping what the picture tower makes: free some, set XDG_CACHE_HOME, "
                "or give data.remember=false"
            ) from error

    def _path(self, key: bytes) -> Path:
        return self.folder / key.hex()[:2] / f"{key.hex()}.safetensors"


class RememberingCollator:
    """A collator of dialogues that looks pictures up, and prepares those alone that are not known yet."""

    def __init__(self, collator: DialogueCollator, store: Store) -> None:
        self.processor = collator.processor
        self.store = store
        counting = copy.copy(self.processor)
        counting.image_processor = _Counter(picture_size(self.processor))
        self.collator = DialogueCollator(counting)

    def draw(self, example: Example, random: Any) -> Example:
        """Draw as the other one does; `pictures` are as [`Pictures`] has them, by name."""
        drawn = self.collator.draw(example, random)
        pictures = pictures_of(example)
        return drawn | {"pictures": self._looked_up(pictures) if pictures else {}}

    def __call__(self, drawn: Sequence[Example]) -> dict[str, Any]:
        """Make a batch as the other one does, with the names of [`Pictures`] in the place of `pixel_values`."""
        return self.collator(drawn)

    def _looked_up(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        keys = [key_of(picture) for picture in pictures]
        found = [self.store.read(key) for key in keys]
        known = [features for features in found if features is not None]
        others = [row for row, features in enumerate(found) if features is None]
        made = {"is_known": torch.tensor([features is not None for features in found])}  # P
        if known:
            made["features"] = torch.stack(known)  # known L N V
        if others:
            made |= self.processor.image_processor([pictures[row] for row in others], return_tensors="pt")
            made["keys"] = torch.stack([torch.frombuffer(bytearray(keys[row]), dtype=torch.uint8) for row in others])
        return made


class _Counter:
    """Stands in for an image processor for whoever counts patches: pixels that take no memory."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def fetch_images(self, pictures: Sequence[Any]) -> Sequence[Any]:
        """Pictures that are there."""
        return pictures

    def __call__(self, pictures: Sequence[Any], **settings: Any) -> dict[str, Tensor]:
        """(P, 3, height, width)."""
        return {"pixel_values": torch.zeros(()).expand(len(pictures), 3, *self.size)}


def key_of(picture: Image.Image) -> bytes:
    """A name of a picture's pixels."""
    digest = blake2b(f"{picture.mode} {picture.size}".encode(), digest_size=KEY)
    digest.update(picture.tobytes())
    return digest.digest()


def remember(model: PreTrainedModel, collator: Any, processor: Any, precision: str) -> RememberingCollator:
    """Let a model's frozen picture tower remember what it made of a picture.

    Args:
        model: Reads chosen layers of a tower, as LLaVA does.
        collator: Of dialogues.
        processor: Prepares pictures for the tower.
        precision: Of the run.

    Returns:
        The collator for such a model.

    Raises:
        UsageError: The tower is trained, or there is none of that kind.
    """
    tower: Any = model.get_encoder(modality="image")
    if tower is model.base_model or "vision_feature_layer" not in model.config.to_dict():
        raise UsageError(f"data.remember: {type(model).__name__} has no picture tower whose layers are read")
    if not isinstance(collator, DialogueCollator):
        raise UsageError("data.remember is of dialogues whose pictures are not changed")
    if any(parameter.requires_grad for parameter in tower.parameters()):
        raise UsageError(
            "data.remember: the picture tower is trained, so what it makes of a picture changes: freeze it"
        )
    store = Store(_folder(tower, model.config.vision_feature_layer, processor, precision))
    tower.forward = partial(_remembering, tower.forward, store)
    return RememberingCollator(collator, store)


def _folder(tower: PreTrainedModel, layers: int | list[int], processor: Any, precision: str) -> Path:
    """Where the features of a tower are kept."""
    digest = blake2b(digest_size=KEY)
    for text in (tower.config.to_json_string(), str(layers), processor.image_processor.to_json_string(), precision):
        digest.update(text.encode())
    for name, tensor in sorted(tower.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "hfmm" / "towers" / digest.hexdigest()


def _remembering(
    compute: Any, store: Store, pixel_values: Tensor | Pictures, output_hidden_states: Any = None, **kwargs: Any
) -> Any:
    """A tower's forward pass over pictures, some of which are known; over plain pixels it is what it was."""
    if isinstance(pixel_values, Tensor):
        return compute(pixel_values, output_hidden_states=output_hidden_states, **kwargs)
    given, layers = pixel_values, output_hidden_states
    chosen = [layers] if isinstance(layers, int) else list(layers)
    rows = []
    if given.pixel_values is not None and given.keys is not None:
        with torch.no_grad():
            states = compute(given.pixel_values, output_hidden_states=layers, **kwargs).hidden_states
        made = torch.stack([states[layer] for layer in chosen], dim=1)  # others L N V
        for key, features in zip(given.keys.cpu(), made.cpu(), strict=True):
            store.write(key.numpy().tobytes(), features)
        rows.append((~given.is_known, made))
    if given.features is not None:
        rows.append((given.is_known, given.features))
    features = torch.empty(len(given.is_known), *rows[0][1].shape[1:], dtype=rows[0][1].dtype, device=rows[0][1].device)
    for is_here, values in rows:
        features[is_here] = values  # P L N V
    return BaseModelOutputWithPooling(hidden_states={layer: features[:, at] for at, layer in enumerate(chosen)})  # type: ignore[arg-type]


def with_pictures(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of a [`RememberingCollator`] as a model takes it; another one as it is."""
    given = dict(inputs)
    if "is_known" in given:
        given["pixel_values"] = Pictures(*(given.pop(name, None) for name in Pictures._fields))
    return given
