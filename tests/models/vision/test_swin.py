"""Swin through upstream's classes: the paper's sizes, windows and what shifting keeps apart."""

import torch
from transformers import SwinForImageClassification
from transformers.models.swin.modeling_swin import window_partition, window_reverse

import hfmm
from hfmm.factory import create_config
from tests.models.vision.upstream import parameters
from tests.testing import Computes, Learns, seeded


class TestSwin(Computes, Learns):
    architecture = "swin"
    model_class = SwinForImageClassification
    # a softmax over keys cannot see their biases
    without_effect = tuple(
        f"swin.encoder.layers.{stage}.blocks.{block}.attention.k_proj.bias" for stage in range(2) for block in range(2)
    )

    def config(self):
        return create_config(
            "swin", image_size=32, embed_dim=8, depths=[2, 2], num_heads=[2, 2], drop_path_rate=0.0, num_labels=3
        )

    def inputs(self):
        with seeded():
            return {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 2])}


def test_parameters_of_the_papers_four():
    found = parameters("swin")
    assert found["paper"] == 28_288_354
    assert found["small"] == 49_606_258
    assert found["base"] == 87_768_224
    assert found["large"] == 196_532_476


def test_windows_are_taken_apart_and_put_together():
    maps = torch.rand(2, 8, 12, 5)  # B H W C
    windows = window_partition(maps, 4)
    assert windows.shape == (2 * 6, 4, 4, 5)
    assert torch.equal(windows[1], maps[0, :4, 4:8])
    assert torch.equal(window_reverse(windows, 4, 8, 12), maps)


@torch.no_grad()
def test_shifted_windows_do_not_join_what_wraps_around():
    block = hfmm.create_model("swin").swin.encoder.layers[0].blocks[1].eval()
    assert block.shift_size == 2
    hidden = torch.rand(1, 16 * 16, 48)  # B H*W C
    changed = hidden.clone()
    changed[:, :16] += torch.randn(1, 16, 48)  # the uppermost row, which shares shifted windows with the lowest ones
    before, after = (block(states, (16, 16))[0].view(1, 16, 16, 48) for states in (hidden, changed))
    assert not torch.equal(before[:, 0], after[:, 0])
    assert torch.equal(before[:, 8:], after[:, 8:])
