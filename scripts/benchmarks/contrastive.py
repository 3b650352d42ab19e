"""Speed of contrastive training against open_clip, and against upstream's model as it comes.

    OMP_NUM_THREADS=1 python scripts/benchmarks/contrastive.py [--captions] [--repeats 7] [--device cuda] [--json FILE]

One step is forward, backward and AdamW on 64 pairs of pictures of 64 x 64 pixels (patches of 8) and texts of 32
tokens; both towers have six layers 256 wide, 9.9 million parameters in all. Ours is a step of hfmm's own loop with its
objective and device policy, as `hfmm train clip` takes it: in bf16 where the hardware multiplies in it. Peers are loops
as their documentation has them. All take turns in one process; seconds are those of the processor on a CPU, and of the
clock on a GPU.

With `--captions`, texts are as long as captions of drawn scenes (about 20 tokens, 40 at most) in a context of 77 as
CLIP's: open_clip's tokenizer fills it up, while hfmm's processor, as upstream's, pads to the longest text of a batch.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from hfmm import load_data
from hfmm.device import hardware, set_attention, set_matrix_precision
from hfmm.training.build import make_accelerator
from hfmm.training.learning import PlayerSection
from hfmm.training.loop import Loop
from hfmm.training.objectives.contrastive import Contrastive
from hfmm.training.optim import Player
from hfmm.training.recipe import Recipe

BATCH, SIDE, PATCH, LENGTH, CONTEXT, WORDS, WIDTH, LAYERS, HEADS = 64, 64, 8, 32, 77, 1000, 256, 6, 4
RATE = 1e-4
Step = Callable[[], None]


def create_model() -> CLIPModel:
    """Upstream's, with random weights."""
    tower = {
        "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "hidden_act": "gelu",
    }  # fmt: skip
    words = {"vocab_size": WORDS, "max_position_embeddings": CONTEXT, "eos_token_id": WORDS - 1, "bos_token_id": 0}
    vision = {**tower, "image_size": SIDE, "patch_size": PATCH}
    return CLIPModel(CLIPConfig(vision_config=vision, text_config={**tower, **words}, projection_dim=WIDTH))


def create_batch(device: str, captions: bool) -> dict[str, Any]:
    """Pictures, and texts that fill all their tokens or are as long as captions."""
    lengths = torch.full((BATCH,), LENGTH)
    if captions:
        scenes = load_data("scenes", captions=1)
        lengths = torch.tensor([len(scenes.peek(row)["captions"][0].split()) + 2 for row in range(BATCH)])
    input_ids = torch.randint(1, WORDS - 1, (BATCH, int(lengths.max())))
    input_ids[torch.arange(input_ids.shape[1]) >= lengths[:, None] - 1] = WORDS - 1  # the end, and padding after it
    tensors = {"pixel_values": torch.randn(BATCH, 3, SIDE, SIDE), "input_ids": input_ids}
    names = [str(row) for row in range(BATCH)]
    return {name: value.to(device) for name, value in tensors.items()} | {"example_ids": names}


def ours(batch: dict[str, Any], device: str, precision: str) -> Step:
    """A step of hfmm's loop."""
    section = PlayerSection(learning_rate=RATE, precision=precision)
    accelerator = make_accelerator(Recipe("clip", players={"model": section}), device, Path())
    model = create_model().to(accelerator.device).train()
    set_attention(model, accelerator.device)
    player = Player.build("model", model, section, accelerator.prepare_model)
    loop = Loop(accelerator, Contrastive({"model": player.wrapped}), {"model": player}, seed=0, max_steps=10**6)

    def step() -> None:
        set_matrix_precision(training=True)
        loop.step(0, [batch])

    return step


def plain(model: nn.Module, loss: Callable[[], Tensor], device: str, bf16: bool) -> Step:
    """A loop by hand, with torch's own settings."""
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)

    def step() -> None:
        torch.set_float32_matmul_precision("highest")
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def upstream(batch: dict[str, Any], device: str, bf16: bool) -> Step:
    """Upstream's model with its default attention."""
    model = create_model()
    inputs = {name: value for name, value in batch.items() if name != "example_ids"}
    return plain(model, lambda: model(**inputs, return_loss=True).loss, device, bf16)


def open_clip_steps(batch: dict[str, Any], device: str, context: int) -> dict[str, Step]:
    """open_clip's model and loss on texts that fill a context; none where it is not installed."""
    try:
        from open_clip import ClipLoss
        from open_clip.model import CLIP
    except ImportError:
        print("open_clip is not installed: pip install open_clip_torch", file=sys.stderr)
        return {}
    vision = {"image_size": SIDE, "patch_size": PATCH, "layers": LAYERS, "width": WIDTH, "head_width": WIDTH // HEADS}
    text = {"context_length": context, "vocab_size": WORDS, "width": WIDTH, "heads": HEADS, "layers": LAYERS}
    missing = context - batch["input_ids"].shape[1]
    input_ids = nn.functional.pad(batch["input_ids"], (0, missing), value=0)
    found = {}
    for name, bf16 in (("open_clip", False), ("open_clip, bf16", True)):
        model = CLIP(embed_dim=WIDTH, vision_cfg=vision, text_cfg=text)  # with GELU, too
        criterion = ClipLoss()

        def loss(model: nn.Module = model, criterion: nn.Module = criterion) -> Tensor:
            images, texts, scale = model(batch["pixel_values"], input_ids)
            value: Tensor = criterion(images, texts, scale)
            return value

        found[name] = plain(model, loss, device, bf16)
    return found


def measure(steps: dict[str, Step], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of each, in turn, after two turns to warm up."""
    on_gpu = device == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 2):
        for name, step in steps.items():
            before = clock()
            step()
            if on_gpu:
                torch.cuda.synchronize()
            if turn > 1:
                seconds[name].append(clock() - before)
    return seconds


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", action="store_true", help="texts as long as captions")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each (default 7)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = create_batch(given.device, given.captions)
    steps = {"ours": ours(batch, given.device, "auto"), "ours, fp32": ours(batch, given.device, "fp32")}
    steps |= {"upstream": upstream(batch, given.device, False), "upstream, bf16": upstream(batch, given.device, True)}
    steps |= open_clip_steps(batch, given.device, CONTEXT if given.captions else LENGTH)
    seconds = measure(steps, given.repeats, given.device)
    speed = {name: BATCH / statistics.median(values) for name, values in seconds.items()}
    ratios = {f"ours / {name}": speed["ours"] / speed[name] for name in list(speed)[1:]}
    print(f"{hardware()}; torch {torch.__version__}; {create_model().num_parameters():,} parameters")
    for name, value in speed.items():
        print(f"{name:20} {value:8.1f} images/s   ({min(seconds[name]):.3f} to {max(seconds[name]):.3f} s)")
    for name, value in ratios.items():
        print(f"{name:35} {value:5.2f} x")
    if given.json:
        figures = {
            "hardware": hardware(), "torch": torch.__version__, "captions": given.captions,
            "images_per_second": speed, "seconds": seconds, "ratios": ratios,
        }  # fmt: skip
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
