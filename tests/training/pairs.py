"""A tiny CLIP and its loop. Under torchrun: a step on this process's pairs; the main process writes what came out."""

import sys
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from hfmm.training.loop import Loop
from hfmm.training.objectives.contrastive import Contrastive
from hfmm.training.optim import Player
from tests.training.toys import SGD, part_of

TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = {"vocab_size": 20, "max_position_embeddings": 8, "bos_token_id": 18, "eos_token_id": 19, "pad_token_id": 19}
STEP = replace(SGD, learning_rate=1.0)  # so that a step is the gradient


def clip(**changes: Any) -> CLIPModel:
    """The tiny model, its weights a function of nothing."""
    torch.manual_seed(3)
    towers = {"vision_config": {**TOWER, "image_size": 8, "patch_size": 4}, "text_config": {**TOWER, **WORDS}}
    return CLIPModel(CLIPConfig(**towers, projection_dim=12, **changes)).double()  # rounding is not what is looked at


def pairs(count: int = 8) -> dict[str, Any]:
    """A batch in which texts differ in length."""
    generator = torch.Generator().manual_seed(5)
    input_ids = torch.randint(18, (count, 8), generator=generator)
    input_ids[:, 0] = 18
    ends = torch.randint(2, 8, (count, 1), generator=generator)
    input_ids.masked_fill_(torch.arange(8) >= ends, 19)
    return {
        "pixel_values": torch.randn(count, 3, 8, 8, dtype=torch.double, generator=generator),
        "input_ids": input_ids,
        "attention_mask": (torch.arange(8) <= ends).long(),
        "example_ids": [f"pair-{row}" for row in range(count)],
    }


def make_loop(model: CLIPModel, accumulation: int = 1, **settings: Any) -> Loop:
    """A loop over it; settings are the objective's."""
    accelerator = Accelerator(cpu=True)
    player = Player.build("model", model, STEP, accelerator.prepare_model)
    objective = Contrastive({"model": player.wrapped}, settings=settings)
    objective.prepare(None, None)
    return Loop(accelerator, objective, {"model": player}, seed=0, max_steps=10, accumulation=accumulation)


def one_step(loop: Loop, batches: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Gradient of every weight, which is how far a step moves it, and the loss."""
    model = loop.players["model"].module
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    logs = loop.step(0, batches)
    gradients = {name: before[name] - weight.detach() for name, weight in model.named_parameters()}
    return gradients | {"loss": torch.tensor(logs["loss"], dtype=torch.double)}


if __name__ == "__main__":
    target, cache = sys.argv[1:]
    settings = {"cache": int(cache)} if int(cache) else {}
    loop = make_loop(clip(), **settings)
    assert loop.accelerator.num_processes == 2, loop.accelerator.distributed_type
    found = one_step(loop, [part_of(pairs(), 2, loop.accelerator.process_index)])
    if loop.accelerator.is_main_process:
        save_file(found, target)
    loop.accelerator.end_training()
