"""CLIP over any two towers: the published sizes, the modified ResNet as it was released, and the bag of words."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import hfmm
from hfmm.errors import UsageError
from hfmm.factory import create_config
from hfmm.models.alignment.clip_towers.modeling_clip_towers import (
    ClipTowersAttentionPool,
    ClipTowersBottleneck,
    ClipTowersLastNormalization,
    ClipTowersModel,
)
from tests.models.alignment.comparing import END, TOWER, Compares, words
from tests.models.vision.upstream import parameters
from tests.nn.test_contrastive import pseudo_code
from tests.testing import Computes, Learns, ModelTests, seeded
from tests.testing_hub import Bundles

RESNET = {"vision_tower": "resnet", "stem_size": 8, "depths": [1, 2], "pool_head_size": 16}
TEXT = {**TOWER, "max_position_embeddings": 8}
PAIRS = [(vision, text) for vision in ("resnet", "vit") for text in ("transformer", "cbow")]


def tiny(vision_tower="resnet", text_tower="transformer"):
    return create_config(
        "clip_towers", **RESNET | {"vision_tower": vision_tower}, text_tower=text_tower, projection_dim=12,
        vision_config={**TOWER, "image_size": 16, "patch_size": 8}, text_config=TEXT,
    )  # fmt: skip


def awake(model):
    """The same with blocks that are no identities: behind a gamma of 0 nothing gets a gradient."""
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, ClipTowersLastNormalization):
                part.weight.uniform_(0.5, 1.5)
    return model


def key_biases(tower, layers=2):  # a softmax over keys cannot see them
    return tuple(f"{tower}.encoder.layers.{number}.self_attn.k_proj.bias" for number in range(layers))


class TestClipTowers(Compares, ModelTests, Bundles):
    architecture = "clip_towers"
    model_class = ClipTowersModel
    without_effect = ("vision_model.attention_pool.key.bias", *key_biases("text_model"))

    def config(self):
        return tiny()

    def model(self):
        with seeded():
            return awake(super().model())


class TestVitAndBagOfWords(Compares, Computes, Learns):
    architecture = "clip_towers"
    model_class = ClipTowersModel
    without_effect = key_biases("vision_model")

    def config(self):
        return tiny("vit", "cbow")


def test_parameters_of_the_published_sizes():
    assert {name: count for name, count in parameters("clip_towers").items() if "tiny" not in name} == {
        "paper": 102_007_137, "resnet_101": 119_688_033, "resnet_50x4": 178_300_601, "resnet_50x16": 290_979_217,
        "resnet_50x64": 623_258_305, "vit_base_32": 151_277_313, "vit_base_16": 149_620_737,
        "vit_large_14": 427_616_513, "vit_large_14_336": 427_944_193,
    }  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize(("vision_tower", "text_tower"), PAIRS)
def test_the_loss_of_every_pair_of_towers_is_the_decks_pseudo_code(vision_tower, text_tower):
    with seeded():
        model = awake(ClipTowersModel(tiny(vision_tower, text_tower))).double().eval()
    inputs = TestClipTowers().inputs()
    inputs["pixel_values"] = inputs["pixel_values"].double()
    images = model.get_image_features(inputs["pixel_values"]).pooler_output.numpy()
    texts = model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output.numpy()
    expected, _, _ = pseudo_code(images, texts, np.eye(12), np.eye(12), model.logit_scale.item())
    assert model(**inputs).loss.item() == pytest.approx(expected, rel=1e-6)


class ReleasedBottleneck(nn.Module):
    """openai/CLIP's, as its model.py tells it."""

    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inplanes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes)
        self.stride, self.downsample = stride, None
        if stride > 1 or inplanes != 4 * planes:
            parts = {"0": nn.Conv2d(inplanes, 4 * planes, 1, bias=False), "1": nn.BatchNorm2d(4 * planes)}
            self.downsample = nn.ModuleDict(parts)

    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn2(self.conv2(out)).relu()
        out = self.bn3(self.conv3(nn.functional.avg_pool2d(out, self.stride)))
        if self.downsample is not None:
            x = self.downsample["1"](self.downsample["0"](nn.functional.avg_pool2d(x, self.stride)))
        return (out + x).relu()


class ReleasedPool(nn.Module):
    def __init__(self, places, width, heads, output):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(places + 1, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj, self.heads = nn.Linear(width, output), heads

    def forward(self, x):
        x = x.flatten(2).permute(2, 0, 1)  # N B C
        x = torch.cat([x.mean(0, keepdim=True), x]) + self.positional_embedding[:, None]
        x, _ = nn.functional.multi_head_attention_forward(
            x[:1], x, x, x.shape[-1], self.heads, None,
            torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]), None, None, False, 0,
            self.c_proj.weight, self.c_proj.bias, use_separate_proj_weight=True, q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight, v_proj_weight=self.v_proj.weight,
        )  # fmt: skip
        return x[0]


class ReleasedResNet(nn.Module):
    def __init__(self, width, depths, places, head_size, output):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width // 2, 3, 2, 1, bias=False), nn.BatchNorm2d(width // 2)
        self.conv2, self.bn2 = nn.Conv2d(width // 2, width // 2, 3, 1, 1, bias=False), nn.BatchNorm2d(width // 2)
        self.conv3, self.bn3 = nn.Conv2d(width // 2, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        inplanes, self.names = width, []
        for stage, depth in enumerate(depths):
            planes, blocks = width * 2**stage, []
            for block in range(depth):
                blocks.append(ReleasedBottleneck(inplanes, planes, 2 if stage and not block else 1))
                inplanes = 4 * planes
            self.names.append(f"layer{stage + 1}")
            setattr(self, self.names[-1], nn.Sequential(*blocks))
        self.attnpool = ReleasedPool(places, inplanes, inplanes // head_size, output)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = norm(conv(x)).relu()
        x = nn.functional.avg_pool2d(x, 2)
        for name in self.names:
            x = getattr(self, name)(x)
        return self.attnpool(x)


NAMES = (  # of openai/CLIP's state dict under `visual.`, and what they are called here
    (r"^(conv|bn)(\d)\.", lambda m: f"stem.{int(m[2]) - 1}.{KINDS[m[1]]}."),
    (r"^layer(\d)\.", lambda m: f"stages.{int(m[1]) - 1}."),
    (r"\.downsample\.(\d)\.", lambda m: f".shortcut.{('convolution', 'normalization')[int(m[1])]}."),
    (r"\.(conv|bn)(\d)\.", lambda m: f".{('reduce', 'spread', 'expand')[int(m[2]) - 1]}.{KINDS[m[1]]}."),
    (r"^attnpool\.positional_embedding$", lambda m: "attention_pool.positions"),
    (r"^attnpool\.([qkvc])_proj\.", lambda m: f"attention_pool.{PARTS[m[1]]}."),
)
KINDS = {"conv": "convolution", "bn": "normalization"}
PARTS = {"q": "query", "k": "key", "v": "value", "c": "projection"}


def named(name):
    for pattern, told in NAMES:
        name = re.sub(pattern, told, name)
    return name


@torch.no_grad()
def test_the_resnet_is_the_released_one():
    config = tiny()
    released = ReleasedResNet(8, [1, 2], places=4, head_size=16, output=12).eval()
    with seeded():
        for value in released.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 0.9) if value.ndim == 1 else value.normal_(std=0.2)
    model = ClipTowersModel(config).vision_model.eval()
    model.load_state_dict({named(name): value for name, value in released.state_dict().items()})
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(pixels).pooler_output, released(pixels))


@torch.no_grad()
def test_blocks_begin_as_their_shortcuts():
    model = ClipTowersModel(tiny()).eval()
    blocks = [part for part in model.modules() if isinstance(part, ClipTowersBottleneck)]
    assert len(blocks) == 3
    assert all(not block.expand.normalization.weight.any() for block in blocks)
    feature_map = torch.rand(2, 64, 4, 4)
    torch.testing.assert_close(blocks[-1](feature_map), feature_map)


@torch.no_grad()
def test_a_stride_averages_before_it_skips():
    """A picture moved by one pixel inside each window: a skipping convolution would see another one altogether."""
    block = ClipTowersBottleneck(4, 4, stride=2).eval()
    block.spread.convolution.weight.zero_()
    block.spread.convolution.weight[..., 1, 1] = torch.eye(4)
    feature_map = torch.rand(1, 4, 8, 8)
    windows = feature_map.unflatten(2, (4, 2)).unflatten(4, (4, 2))
    moved = windows.flip(3).flatten(4, 5).flatten(2, 3)
    assert not torch.equal(moved, feature_map)
    torch.testing.assert_close(block(moved), block(feature_map))


@torch.no_grad()
def test_the_pool_reads_a_mean_of_values_where_no_key_stands_out():
    pool = ClipTowersAttentionPool(tiny())
    for weight in pool.parameters():
        weight.normal_()
    pool.key.weight.zero_()
    pool.positions.zero_()
    feature_map = torch.randn(2, 64, 2, 2)
    expected = pool.projection(pool.value(feature_map.flatten(2).mean(2)))
    torch.testing.assert_close(pool(feature_map), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_bag_of_words_knows_no_order_and_no_padding():
    model = ClipTowersModel(tiny(text_tower="cbow")).eval()
    text = words([[5, 6, 7], [7, 5, 6], [5]])
    first, second, short = model.get_text_features(**text).pooler_output
    torch.testing.assert_close(first, second)
    alone = model.get_text_features(**words([[5]])).pooler_output[0]
    torch.testing.assert_close(short, alone)
    embeds = model.text_model.word_embeddings(torch.tensor([640, 5, END]))
    torch.testing.assert_close(alone, model.text_projection(embeds.mean(0)))


@torch.no_grad()
def test_the_transformer_knows_the_order():
    model = ClipTowersModel(tiny()).eval()
    first, second = model.get_text_features(**words([[5, 6, 7], [7, 5, 6]])).pooler_output
    assert not torch.allclose(first, second, atol=1e-4)


@torch.no_grad()
def test_what_follows_the_end_leaves_the_text_as_it_is():
    model = ClipTowersModel(tiny()).eval()
    ids = torch.tensor([[640, 5, END, END, END], [640, 5, END, 7, 8]])
    short, long = model.get_text_features(ids, torch.ones_like(ids)).pooler_output
    torch.testing.assert_close(short, long)


@torch.no_grad()
def test_scores_are_cosines():
    model = ClipTowersModel(tiny())
    image_embeds, text_embeds = torch.randn(2, 12), torch.randn(4, 12)
    expected = torch.cosine_similarity(image_embeds[:, None], text_embeds[None], dim=-1)
    torch.testing.assert_close(model.score(3 * image_embeds, text_embeds), expected)


def test_pictures_of_another_size_are_told():
    with pytest.raises(ValueError, match="pictures give 16 places, and there are positions of 4"):
        ClipTowersModel(tiny())(pixel_values=torch.rand(1, 3, 32, 32), **words([[5]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": []}, "give each stage a block"),
        ({"pool_head_size": 48}, "pool_head_size is 48, not a divisor of the last stage's 256"),
        ({"vision_config": {"image_size": 60}}, "image_size is 60, which 2 stages cannot halve 3 times"),
        ({"vision_tower": "resnext"}, "resnext"),
    ],
)
def test_sizes_that_disagree_are_told(changes, message):
    with pytest.raises(UsageError, match=message):
        hfmm.create_model("clip_towers", **changes)
