"""Run under torchrun: each process whitens its half of eight pictures and writes the filters that it then has."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from hfmm.models.vision.cifar_resnet.modeling_cifar_resnet import PatchWhitening

if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    pictures = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whitening = PatchWhitening(3).train()
    whitening(pictures.chunk(2)[rank])
    save_file({"filters": whitening.filters}, Path(sys.argv[1]) / f"{rank}.safetensors")
    torch.distributed.destroy_process_group()
