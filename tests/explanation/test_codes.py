"""Codes of pictures and their neighbors: the last layer's input by hand, and brute force."""

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers.utils import ModelOutput

import hfmm
from hfmm.errors import UsageError
from hfmm.explanation.codes import extract_codes, knn_purity, nearest_neighbors

UPSTREAM = {
    "ViTForImageClassification": {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
    },
    "ResNetForImageClassification": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "SwinForImageClassification": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
    "EfficientNetForImageClassification": {
        "image_size": 32,
        "width_coefficient": 0.25,
        "depth_coefficient": 0.1,
        "hidden_dim": 320,
    },
}


@pytest.fixture(scope="module")
def pictures():
    return [hfmm.load_data("scenes", split="test")[row]["image"] for row in range(5)]


@pytest.fixture(scope="module")
def processor():
    return transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})


def upstream(name):
    model_class = getattr(transformers, name)
    return model_class(model_class.config_class(num_labels=7, **UPSTREAM[name])).eval()


@pytest.mark.parametrize("name", ["lenet5", "vgg", "small_cnn"])
def test_of_our_classifiers_the_last_layer_makes_the_logits_of_the_codes(name, pictures):
    model = hfmm.create_model(name).train()
    processor = hfmm.create_processor(name)
    codes = extract_codes(model, processor, iter(pictures), batch_size=2)
    assert model.training
    model.eval()
    last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        logits = model(**processor(pictures, return_tensors="pt")).logits
        torch.testing.assert_close(last(codes), logits, atol=1e-4, rtol=1e-4)
    assert not last._forward_pre_hooks


@pytest.mark.parametrize("name", UPSTREAM)
def test_of_upstream_classifiers_the_last_layer_makes_the_logits_of_the_codes(name, pictures, processor):
    model = upstream(name)
    codes = extract_codes(model, processor, pictures)
    with torch.no_grad():
        logits = model(**processor(pictures, return_tensors="pt")).logits
        last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
        torch.testing.assert_close(last(codes), logits, atol=1e-4, rtol=1e-4)


def test_of_backbones_the_last_map_is_averaged(pictures, processor):
    backbone = transformers.AutoBackbone.from_config(hfmm.create_model("small_cnn").config).eval()
    reader = hfmm.create_processor("small_cnn")
    codes = extract_codes(backbone, reader, pictures)
    with torch.no_grad():
        maps = backbone(**reader(pictures, return_tensors="pt")).feature_maps
    torch.testing.assert_close(codes, maps[-1].mean((2, 3)))
    tower = upstream("ViTForImageClassification").vit
    with torch.no_grad():
        states = tower(**processor(pictures, return_tensors="pt")).last_hidden_state
    torch.testing.assert_close(extract_codes(tower, processor, pictures), states.mean(1))


def test_of_an_embedding_model_the_code_is_the_embedding(pictures, processor):
    sizes = {**UPSTREAM["ViTForImageClassification"], "projection_dim": 6}
    config = transformers.CLIPVisionConfig(**sizes)
    model = transformers.CLIPVisionModelWithProjection(config).eval()
    with torch.no_grad():
        embeddings = model(**processor(pictures, return_tensors="pt")).image_embeds
    torch.testing.assert_close(extract_codes(model, processor, pictures), embeddings)


def test_of_a_detector_the_last_layer_is_averaged_over_places(pictures):
    codes = extract_codes(hfmm.create_model("yolo"), hfmm.create_processor("yolo"), pictures)
    assert codes.ndim == 2
    assert len(codes) == 5


def test_what_has_no_codes_is_told(pictures, monkeypatch):
    model = hfmm.create_model("lenet5")
    monkeypatch.setattr(model, "forward", lambda pixel_values: ModelOutput(depth=pixel_values))
    with pytest.raises(UsageError, match="Lenet5ForImageClassification gives no code of a picture"):
        extract_codes(model, hfmm.create_processor("lenet5"), pictures)


def test_neighbors_are_those_of_brute_force():
    codes = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    rows, distances = nearest_neighbors(codes, 6, queries=[4, 0])
    for query, found, far in zip((4, 0), rows.tolist(), distances.tolist(), strict=True):
        by_hand = {row: float(np.sqrt(((codes[row] - codes[query]).numpy() ** 2).sum())) for row in range(30)}
        del by_hand[query]
        assert found == sorted(by_hand, key=by_hand.get)[:6]
        assert far == pytest.approx(sorted(by_hand.values())[:6], rel=1e-5)


def test_twins_come_first_at_distance_zero_and_the_picture_itself_is_left_out():
    codes = torch.tensor([[1000.1], [5.0], [1000.1], [1000.0]])
    rows, distances = nearest_neighbors(codes, 9)
    assert rows[0].tolist() == [2, 3, 1]  # no more than there are
    assert distances[0, 0] == 0
    assert all(row not in found for row, found in enumerate(rows.tolist()))


def test_neighbors_are_not_normalized():
    codes = torch.tensor([[1.0, 0.0], [9.0, 0.0], [1.0, 1.0]])  # the second has the first's direction
    assert nearest_neighbors(codes, 1)[0][0].tolist() == [2]


def test_purity_by_hand():
    codes = torch.tensor([[0.0], [1.0], [2.1], [50.0], [51.0]])
    assert knn_purity(codes, [0, 0, 1, 1, 1], 1) == pytest.approx(4 / 5)
    assert knn_purity(codes, [0, 0, None, 1, 1], 1) == 1
    assert knn_purity(codes, [None] * 5, 1) is None


def test_pictures_of_any_kind_are_taken(processor):
    codes = extract_codes(upstream("ViTForImageClassification"), processor, [Image.new("RGB", (40, 9))] * 2)
    assert torch.equal(codes[0], codes[1])
