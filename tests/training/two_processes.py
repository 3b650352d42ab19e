"""Run under torchrun: five steps of a toy on this process's slices; the main process writes weights and losses."""

import sys

from safetensors.torch import save_file

from tests.training.toys import batches, make_loop, part_of, weights

if __name__ == "__main__":
    kind, target = sys.argv[1:]
    loop = make_loop(kind)
    accelerator = loop.accelerator
    assert accelerator.num_processes == 2, accelerator.distributed_type
    mine = [part_of(batch, 2, accelerator.process_index) for batch in batches(5, 8)]
    losses = []
    for step, batch in enumerate(mine):
        logs = loop.step(step, [batch])
        losses.append(sum(value for name, value in logs.items() if name.endswith("loss")))
    if accelerator.is_main_process:
        import torch

        save_file({**weights(loop), "losses": torch.tensor(losses)}, target)
    accelerator.end_training()
