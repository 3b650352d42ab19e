"""Device policy: precision of matrix products, attention implementation, and what hardware a measurement names."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

LONGEST_EAGER = 200  # positions up to which eager attention beats the fused kernel in CPU training (guides: measured)
LARGEST_ERROR = 1e-4  # relative; true fp32 is below 1e-6, bf16 products err by 1e-2
MULTIPLY_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # of x86 and of ARM, as torch names them


def multiplies_bf16(on_gpu: bool) -> bool:
    """Whether the hardware multiplies in bf16; a CPU that emulates it is four times slower than in fp32 (measured).

    Args:
        on_gpu: Of the GPU, not of the CPU.
    """
    if on_gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(torch.cpu.get_capabilities().get(name, False) for name in MULTIPLY_BF16)


def has_own_matrix_library() -> bool:
    """Whether torch's default for fp32 products on a CPU, MKL, was made for this one: its maker's."""
    return torch.backends.mkl.is_available() and "Intel" in torch.cpu.get_capabilities().get("cpu_name", "")


@cache
def fast_matrix_products_are_exact() -> bool:
    """Whether `medium` matrix precision is faster here and still computes in fp32.

    It picks another library, which is faster on CPUs of others than Intel. With AMX, and on GPUs, it means bf16 or tf32
    products.
    """
    if torch.cuda.is_available() or has_own_matrix_library():
        return False
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    torch.set_float32_matmul_precision("medium")
    error = ((left @ right).double() - exact).abs().max() / exact.abs().max()
    torch.set_float32_matmul_precision(before)
    return bool(error < LARGEST_ERROR)


def set_matrix_precision(training: bool) -> None:
    """Use the fast path in training where it stays exact; token-by-token decoding is faster without it."""
    fast = training and fast_matrix_products_are_exact()
    torch.set_float32_matmul_precision("medium" if fast else "highest")


@contextmanager
def fast_matrix_products() -> Iterator[None]:
    """Use the fast path meanwhile, where it stays exact; afterwards the precision is what it was."""
    before = torch.get_float32_matmul_precision()
    if fast_matrix_products_are_exact():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def longest_sequence(config: PreTrainedConfig) -> int:
    """The most positions that a model's attention spans, as far as its configuration and nested ones tell."""
    values = config.to_dict()
    lengths = [longest_sequence(getattr(config, name)) for name in config.sub_configs if name in values]
    if {"image_size", "patch_size"} <= values.keys():
        sides, patches = (_pair(values[name]) for name in ("image_size", "patch_size"))
        lengths.append(prod(side // patch for side, patch in zip(sides, patches, strict=True)) + 1)
    lengths.append(values.get("max_position_embeddings") or 0)
    return max(lengths)


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) of a size that may be one number."""
    return (size, size) if isinstance(size, int) else tuple(size)


@cache
def longest_eager() -> int:
    """Positions up to which eager attention beats the fused kernel in training on this CPU.

    What it gains is the backward pass in bf16, and in fp32 the library that `medium` precision picks; with neither,
    the fused kernel is faster at every length.
    """
    return LONGEST_EAGER if multiplies_bf16(on_gpu=False) or fast_matrix_products_are_exact() else 0


def _attention(length: int) -> str:
    return "eager" if length <= longest_eager() else "sdpa"


def set_attention(model: PreTrainedModel, device: torch.device) -> None:
    """Pick the attention implementation by length on CPU, of each tower by its own; elsewhere keep the library's."""
    if device.type != "cpu" or not model._supports_sdpa:
        return
    values = model.config.to_dict()
    parts = {name: getattr(model.config, name) for name in model.config.sub_configs if name in values}
    chosen = {name: _attention(longest_sequence(part)) for name, part in parts.items()}
    whole = _attention(longest_sequence(model.config))
    model.set_attn_implementation({"": whole, **chosen} if set(chosen.values()) - {whole} else whole)


def set_threads(workers: int) -> None:
    """Leave a core to each loading worker: threads that wait for one another lose far more than a core gives."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores - workers))


@cache
def hardware() -> str:
    """The processor or GPU, as cards and results name it."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return f"{name}, {torch.get_num_threads()} threads"
