"""A small random model that converses, and adapters over it."""

import peft
import torch

import hfmm
from tests.testing import seeded

ADAPTERS = {
    "r": 4,
    "target_modules": r".*language_model.*\.(q_proj|v_proj)",
    "modules_to_save": ["multi_modal_projector"],
}


def save(root):
    """Two folders under `root`: llava, and adapter over it."""
    with seeded():
        model = hfmm.create_model("llava").eval()
        model.save_pretrained(root / "llava")
        processor = hfmm.create_processor("llava")
        processor.save_pretrained(root / "llava")
        model.name_or_path = str(root / "llava")
        adapted = peft.get_peft_model(model, peft.LoraConfig(**ADAPTERS))
        with torch.no_grad():
            for weight in adapted.parameters():
                if weight.requires_grad:
                    weight.normal_(std=0.3)
        adapted.save_pretrained(root / "adapter")
        processor.save_pretrained(root / "adapter")
