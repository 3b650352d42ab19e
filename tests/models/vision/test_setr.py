"""SETR: what the paper says of its decoders; the shared contract comes from ModelTests."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate
from transformers import ViTModel

from hfmm import factory
from hfmm.models.vision.setr.configuration_setr import SetrConfig
from hfmm.models.vision.setr.modeling_setr import (
    SetrAggregatingDecoder,
    SetrForSemanticSegmentation,
    SetrNaiveDecoder,
    SetrProgressiveDecoder,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

D, K, C = 16, 5, 8
ENCODER = {"model_type": "vit", "image_size": 16, "patch_size": 4, "hidden_size": D}
ENCODER |= {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 4 * D}
TINY = {"encoder_config": ENCODER, "decoder_hidden_size": C, "num_labels": K}
TINY |= {"mla_layers": [1, 2, 3], "auxiliary_layers": [1, 2]}
DECODERS = {"naive": SetrNaiveDecoder, "pup": SetrProgressiveDecoder, "mla": SetrAggregatingDecoder}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**fields):
    with seeded():
        return SetrForSemanticSegmentation(SetrConfig(**{**TINY, **fields})).eval()


class TestSetr(ModelTests, Bundles):
    architecture = "setr"
    model_class = SetrForSemanticSegmentation
    decoder = "pup"

    def config(self):
        return SetrConfig(**TINY, decoder=self.decoder)

    def inputs(self):
        patches = torch.arange(16).view(4, 4) % K
        labels = torch.stack([patches, patches.T, patches.flip(1)])
        labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)
        labels[:, 0, 0] = 255
        return {"pixel_values": noise(3, 3, 16, 16), "labels": labels}


class TestSetrNaive(TestSetr):
    decoder = "naive"
    overfit_ratio = 0.3  # the loss of pixels between two patches stays: what is in between is interpolated
    overfit_steps = 200


class TestSetrMla(TestSetr):
    decoder = "mla"
    overfit_steps = 200


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_decoders_are_those_of_the_configuration(decoder):
    model = small(decoder=decoder)
    assert type(model.decoder) is DECODERS[decoder]
    assert isinstance(model.encoder, ViTModel)
    assert len(model.auxiliary) == 2


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [(16, 16), (8, 24), (24, 20)])
def test_there_is_a_score_for_each_class_of_each_pixel(decoder, size):
    assert small(decoder=decoder)(noise(2, 3, *size)).logits.shape == (2, K, *size)


def parameters(module):
    return sum(value.numel() for value in module.parameters())


def convolution(before, after, kernel):
    """Without a bias, and normalized."""
    return before * after * kernel**2 + 2 * after


@pytest.mark.parametrize("preset", ["naive", "paper", "mla"])
def test_the_paper_s_sizes_have_the_parameters_of_their_formulas(preset):
    """T-Large at 512 pixels with three auxiliary decoders, for the 150 classes of ADE20K."""
    width, classes = 1024, 150
    encoder = 3 * 16**2 * width + 2 * width + (32**2 + 1) * width + 24 * (12 * width**2 + 13 * width)
    naive = convolution(width, 256, 1) + 257 * classes
    decoder = {
        "naive": naive,
        "paper": convolution(width, 256, 3) + 3 * convolution(256, 256, 3) + 257 * classes,
        "mla": 4 * (convolution(width, 256, 1) + convolution(256, 256, 3) + convolution(256, 128, 3)) + 513 * classes,
    }[preset]
    last_normalization = 0 if preset == "mla" else 2 * width
    with torch.device("meta"):
        model = factory.create_model("setr", preset=preset)
    assert parameters(model) == encoder + last_normalization + decoder + 3 * naive


def test_progressive_upsampling_doubles_four_times_with_256_channels():
    with torch.device("meta"):
        model, seen = factory.create_model("setr", preset="paper"), []
        for part in model.decoder.modules():
            if isinstance(part, nn.Conv2d):
                part.register_forward_hook(lambda module, given, found: seen.append(tuple(found.shape[1:])))
        model(torch.empty(1, 3, 512, 512))
    assert seen == [(256, 32, 32), (256, 64, 64), (256, 128, 128), (256, 256, 256), (150, 512, 512)]


def test_aggregation_joins_512_channels_at_a_quarter_of_the_picture():
    with torch.device("meta"):
        model, seen = factory.create_model("setr", preset="mla"), []
        model.decoder.classifier.register_forward_hook(lambda module, given, found: seen.append(given[0].shape[1:]))
        model(torch.empty(1, 3, 512, 512))
    assert seen == [(512, 128, 128)]


def test_naive_upsampling_classifies_each_patch():
    model, pixels = small(decoder="naive"), noise(1, 3, 8, 12)
    with torch.no_grad():
        encoded = model.encoder(pixels, interpolate_pos_encoding=True).last_hidden_state
        scores = torch.zeros(1, K, 2, 3)
        hidden, last = model.decoder.convolution, model.decoder.classifier
        for row in range(2):
            for column in range(3):
                patch = hidden.convolution.weight[..., 0, 0] @ encoded[0, 1 + 3 * row + column]
                patch = (patch / (1 + 1e-5) ** 0.5).relu()  # statistics are still those of the start
                scores[0, :, row, column] = last.weight[..., 0, 0] @ patch + last.bias
        expected = interpolate(scores, size=(8, 12), mode="bilinear")
        torch.testing.assert_close(model(pixels).logits, expected, rtol=1e-4, atol=1e-5)


def test_streams_are_added_from_the_last_layer_to_the_first():
    """Of what the last stream holds, every stream gets a part; of the first, only the first."""
    decoder = small(decoder="mla").decoder
    reduced, seen = [], {}
    for index, mix in enumerate(decoder.mixing):
        mix.register_forward_pre_hook(lambda module, given, index=index: seen.update({index: given[0]}))
    maps = [noise(1, D, 4, 4, seed=seed) for seed in range(3)]
    with torch.no_grad():
        decoder(maps)
        reduced = [reduction(feature_map) for reduction, feature_map in zip(decoder.reductions, maps, strict=True)]
    torch.testing.assert_close(seen[2], reduced[2])
    torch.testing.assert_close(seen[1], reduced[1] + reduced[2])
    torch.testing.assert_close(seen[0], reduced[0] + reduced[1] + reduced[2])


def test_aggregation_takes_the_layers_of_the_configuration_as_they_are():
    model, pixels, seen = small(decoder="mla", mla_layers=[3, 1]), noise(1, 3, 16, 16), []
    model.decoder.register_forward_pre_hook(lambda module, given: seen.extend(given[0]))
    model(pixels)
    states, tokens = [], model.encoder.embeddings(pixels)
    for layer in model.encoder.layers:
        tokens = layer(tokens, None)
        states.append(tokens)
    for found, layer in zip(seen, (3, 1), strict=True):
        expected = states[layer - 1][:, 1:].transpose(1, 2).reshape(1, D, 4, 4)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_has_auxiliary_parts_of_weight_0_4(decoder):
    model, seen = small(decoder=decoder), []
    for head in model.auxiliary:
        head.register_forward_hook(lambda module, given, found: seen.append(found))
    inputs = TestSetr().inputs()
    out = model(**inputs)
    expected = cross_entropy(out.logits, inputs["labels"], ignore_index=255)
    assert len(seen) == 2
    for guess in seen:
        whole = interpolate(guess, size=(16, 16), mode="bilinear")
        expected = expected + 0.4 * cross_entropy(whole, inputs["labels"], ignore_index=255)
    torch.testing.assert_close(out.loss, expected)


def test_auxiliary_decoders_are_of_training_only():
    model, seen = small(), []
    model.auxiliary[0].register_forward_hook(lambda *given: seen.append(given))
    assert model(noise(1, 3, 16, 16)).loss is None
    assert seen == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"auxiliary_layers": [4]}, "there is no layer 4: the encoder has 3"),
        ({"decoder": "mla", "mla_layers": [0, 3]}, "there is no layer 0"),
        ({"encoder_config": {**ENCODER, "patch_size": 6}}, "patch_size is 6: progressive upsampling needs a power"),
        ({"decoder_hidden_size": 7}, "decoder_hidden_size is 7"),
        ({"decoder": "linear"}, "decoder"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        SetrConfig(**{**TINY, **fields})


def test_pictures_of_parts_of_patches_are_refused():
    with pytest.raises(ValueError, match="pictures are 16 x 18 but patches of 4 pixels must fit their sides"):
        small()(noise(1, 3, 16, 18))
