"""hfmm: the first decade of multimodal deep learning on today's Hugging Face stack.

Importing it is light: torch and transformers are loaded when something of them is used. After it, the Auto classes of
transformers know every architecture of the catalogue.
"""

from hfmm import registration as _registration

TYPE_CHECKING = False  # as typing's, which takes longer to import than all of hfmm
if TYPE_CHECKING:
    from hfmm import metrics as metrics
    from hfmm.catalogue import list_architectures as list_architectures
    from hfmm.chat import LlavaChat as LlavaChat
    from hfmm.data import load as load_data  # noqa: F401
    from hfmm.evaluation import evaluate as evaluate
    from hfmm.explanation import explain as explain
    from hfmm.factory import create_model as create_model
    from hfmm.factory import create_processor as create_processor
    from hfmm.hub.publish import publish as publish
    from hfmm.reproduction import reproduce as reproduce
    from hfmm.training.run import train as train

__version__ = "0.1.0"

_HOMES = {  # public name -> its module and its name there; an empty name is the module itself
    "list_architectures": ("hfmm.catalogue", "list_architectures"),
    "create_model": ("hfmm.factory", "create_model"),
    "create_processor": ("hfmm.factory", "create_processor"),
    "LlavaChat": ("hfmm.chat", "LlavaChat"),
    "train": ("hfmm.training.run", "train"),
    "evaluate": ("hfmm.evaluation", "evaluate"),
    "explain": ("hfmm.explanation", "explain"),
    "publish": ("hfmm.hub.publish", "publish"),
    "reproduce": ("hfmm.reproduction", "reproduce"),
    "load_data": ("hfmm.data", "load"),
    "metrics": ("hfmm.metrics", ""),
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hfmm' has no attribute {name!r}")
    from importlib import import_module

    module, inside = _HOMES[name]
    found = getattr(import_module(module), inside) if inside else import_module(module)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


_registration.install()
