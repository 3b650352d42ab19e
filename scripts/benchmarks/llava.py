"""Speed of LLaVA's instruction tuning with adapters against TRL's SFTTrainer.

    OMP_NUM_THREADS=1 python scripts/benchmarks/llava.py [--repeats 3] [--steps 8] [--device cuda] [--json FILE]

The model is upstream's LLaVA of 43 million parameters with random weights: a CLIP tower of eight layers 384 wide over
64 patches, a Llama of six layers 512 wide, adapters of rank 16 in all its matrices. A step is four dialogues of one
turn, 8 to 320 words long (half of them below 40), loss on answers alone, with pictures, tokens and AdamW in it. Ours is
hfmm's own loop as `hfmm train` takes it, in bf16 where the hardware multiplies in it, the tower's features known from
an earlier visit; a plain loop does the same without the loop's norm, checks and log, and the bare one neither data nor
optimizer. TRL runs as it comes, and with precision and attention like ours and without recomputing activations.
Contenders take turns, each in a process of its own; seconds are those of the processor on a CPU, and of the clock on a
GPU. The first step is not counted.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

BATCH, SIDE, PATCH, WORDS, SAMPLES, RANK = 4, 128, 16, 8000, 32, 16
RATE = 1e-4
OURS, PLAIN, BARE = "ours", "ours, a plain loop", "ours, bare forward and backward"
DEFAULT, ALIKE = "TRL as it comes", "TRL, alike"
LANGUAGE = r"model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def create_model() -> Any:
    """Upstream's, with random weights."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=6, image_size=SIDE,
        patch_size=PATCH,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=512, intermediate_size=1408, num_hidden_layers=6, num_attention_heads=8, vocab_size=WORDS,
        max_position_embeddings=1024, bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    return LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=4, image_seq_length=(SIDE // PATCH) ** 2)
    )


def create_data() -> tuple[Any, list[dict[str, Any]]]:
    """LLaVA's processor, and dialogues: pictures of noise, and words of which half the dialogues have less than 40."""
    import numpy as np
    from PIL import Image

    from hfmm.nn.chat_processing import chat_processor

    draw = np.random.default_rng(0)
    words = ["".join(letters) for letters in product("abcdefgh", repeat=3)]  # each one token
    half = (0.5, 0.5, 0.5)
    processor = chat_processor(
        words, image_size=SIDE, patch_size=PATCH, image_mean=half, image_std=half, template="v1", system="",
        vocab_size=WORDS,
    )  # fmt: skip
    examples = []
    for number, length in enumerate(np.clip(draw.lognormal(3.7, 0.7, SAMPLES).astype(int), 8, 320)):
        said = draw.choice(words, length).tolist()
        asked, answer = " ".join(said[: length // 3]), " ".join(said[length // 3 :])
        picture = Image.fromarray(draw.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
        examples.append({"id": str(number), "image": picture, "asked": asked, "answer": answer})
    return processor, examples


def ours(steps: int, device: str, contender: str) -> list[float]:
    """Seconds of steps of hfmm's loop, of the same by hand, or of forward and backward alone."""
    from torch.utils.data import DataLoader

    from hfmm.data.dialogues import DialogueCollator
    from hfmm.data.examples import ListExamples
    from hfmm.data.keyed import KeyedExamples, StepSampler
    from hfmm.device import set_attention, set_matrix_precision
    from hfmm.training import lora, towers
    from hfmm.training.build import make_accelerator
    from hfmm.training.learning import PlayerSection
    from hfmm.training.loop import Loop
    from hfmm.training.objectives.instruction import Instruction
    from hfmm.training.optim import Player, set_training
    from hfmm.training.recipe import LoraSection, Recipe

    processor, data = create_data()
    section = PlayerSection(learning_rate=RATE, precision="auto")
    accelerator = make_accelerator(Recipe("llava", players={"model": section}), device, Path())
    model = create_model().to(accelerator.device)
    set_matrix_precision(training=True)
    set_attention(model, accelerator.device)
    lora.adapt(model, LoraSection([LANGUAGE], rank=RANK, alpha=2 * RANK), "base")
    collator = towers.remember(model, DialogueCollator(processor), processor, accelerator.mixed_precision)
    player = Player.build("model", model, section, accelerator.prepare_model)
    loop = Loop(accelerator, Instruction({"model": player.wrapped}), {"model": player}, seed=0, max_steps=10**6)
    set_training(model)
    examples = ListExamples([_messages(example) for example in data], {"image": "image", "messages": "messages"})
    sampler = StepSampler(SAMPLES, BATCH, seed=0)
    batches: Any = iter(
        DataLoader(KeyedExamples(examples, collator.draw, 0), batch_sampler=sampler, collate_fn=collator)
    )
    for _ in range(SAMPLES // BATCH):  # the first visit of each picture
        loop.step(0, [next(batches)])
    if contender == OURS:
        return _seconds((loop.step(number, [next(batches)]) for number in range(steps + 1)), device)
    turns = (next(loop.objective.turns(_on(batch, accelerator.device), _context())) for batch in batches)
    if contender == PLAIN:
        return _seconds((_step(next(turns), player.optimizer) for _ in range(steps + 1)), device)
    found = []
    for batch in [next(batches) for _ in range(steps)]:
        before = _clock(device)
        turn = next(loop.objective.turns(_on(batch, accelerator.device), _context()))
        (turn.loss / turn.count).backward()
        found.append(_clock(device) - before)
        model.zero_grad()
    return found


def _step(turn: Any, optimizer: Any) -> None:
    """A step of a plain loop: no norm, no check, no log."""
    (turn.loss / turn.count).backward()
    optimizer.step()
    optimizer.zero_grad()


def _messages(example: dict[str, Any]) -> dict[str, Any]:
    """As hfmm has dialogues."""
    asked = [{"type": "image"}, {"type": "text", "text": example["asked"]}]
    said = [{"type": "text", "text": example["answer"]}]
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    return {"id": example["id"], "image": example["image"], "messages": turns}


def _on(batch: dict[str, Any], device: Any) -> Any:
    from accelerate.utils import send_to_device

    return send_to_device(batch, device)


def _context() -> Any:
    import torch

    from hfmm.training.objectives.base import StepContext

    return StepContext(0, torch.Generator(), lambda tensor: tensor, lambda module: module)


def peer(steps: int, device: str, alike: bool) -> list[float]:
    """Seconds of steps of TRL's trainer."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from hfmm.device import multiplies_bf16, set_attention

    processor, data = create_data()
    rows = [
        {
            "images": [example["image"]],
            "prompt": [{"role": "user", "content": example["asked"]}],
            "completion": [{"role": "assistant", "content": example["answer"]}],
        }
        for example in data
    ]
    model = create_model()
    settings: dict[str, Any] = {}
    if alike:
        set_attention(model, torch.device(device))
        settings = {"bf16": multiplies_bf16(device == "cuda"), "gradient_checkpointing": False}
    times: list[float] = []

    class Watch(TrainerCallback):
        def on_step_end(self, *given: Any, **others: Any) -> None:
            times.append(_clock(device))

    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder, per_device_train_batch_size=BATCH, max_steps=steps + 1, learning_rate=RATE,
                max_length=None, save_strategy="no", report_to=[], use_cpu=device == "cpu", disable_tqdm=True,
                **settings,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=processor,
            peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LANGUAGE),
            callbacks=[Watch()],
        )  # fmt: skip
        trainer.train()
    return [after - before for before, after in pairwise(times)]


def _clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def _seconds(steps: Iterator[Any], device: str) -> list[float]:
    """Seconds between the ends of steps."""
    times = [_clock(device) for _ in steps]
    return [after - before for before, after in pairwise(times)]


CONTENDERS: dict[str, Callable[[int, str], list[float]]] = {
    **{name: partial(ours, contender=name) for name in (OURS, PLAIN, BARE)},
    DEFAULT: lambda steps, device: peer(steps, device, alike=False),
    ALIKE: lambda steps, device: peer(steps, device, alike=True),
}


def run_one(name: str, steps: int, device: str) -> None:
    """Run a contender here; its figures are the last line of what is printed."""
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    seconds = CONTENDERS[name](steps, device)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device == "cuda":
        memory = torch.cuda.max_memory_allocated()
    print(json.dumps({"seconds": seconds, "memory": memory}))


def race(names: list[str], repeats: int, steps: int, device: str) -> dict[str, list[dict[str, Any]]]:
    """Let contenders take turns, each in a process of its own, with a store of features that all turns share."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "XDG_CACHE_HOME": home}
        for _ in range(repeats):
            for name in names:
                command = [sys.executable, __file__, "--only", name, "--steps", str(steps), "--device", device]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{name}: {done.stderr[-2000:]}")
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"{name}: {statistics.mean(found[name][-1]['seconds']):.3f} s a step", file=sys.stderr)
    return found


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--steps", type=int, default=8, help="steps a turn (default 8: each sample once)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args()
    if given.only:
        run_one(given.only, given.steps, given.device)
        return
    from importlib.util import find_spec

    names = list(CONTENDERS)
    if find_spec("trl") is None:
        print("trl is not installed: pip install trl", file=sys.stderr)
        names = [OURS, PLAIN, BARE]
    report(race(names, given.repeats, given.steps, given.device), given.json)


def report(found: dict[str, list[dict[str, Any]]], target: Path | None) -> None:
    """Print medians over turns and ratios, and write them."""
    import torch

    from hfmm.device import hardware

    seconds = {name: [statistics.mean(turn["seconds"]) for turn in turns] for name, turns in found.items()}
    speed = {name: BATCH / statistics.median(values) for name, values in seconds.items()}
    memory = {name: max(turn["memory"] for turn in turns) for name, turns in found.items()}
    ratios = {f"{OURS} / {name}": speed[OURS] / speed[name] for name in list(speed)[1:]}
    torch.set_num_threads(1)
    print(f"{hardware()}; torch {torch.__version__}; {create_model().num_parameters():,} parameters")
    for name, value in speed.items():
        span = f"{min(seconds[name]):.3f} to {max(seconds[name]):.3f} s a step"
        print(f"{name:35} {value:8.2f} samples/s   ({span}), {memory[name] / 2**20:,.0f} MiB at most")
    for name, value in ratios.items():
        print(f"{name:45} {value:5.2f} x")
    if target:
        figures: dict[str, Any] = {"hardware": hardware(), "torch": torch.__version__, "samples_per_second": speed}
        figures |= {"seconds": seconds, "memory": memory, "ratios": ratios}
        target.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
