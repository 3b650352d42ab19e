"""Segmenter: what the paper and the released code say; the shared contract comes from ModelTests."""

import pytest
import torch
from torch.nn.functional import interpolate, layer_norm
from transformers import ViTModel

from hfmm import factory
from hfmm.models.vision.segmenter.configuration_segmenter import SegmenterConfig
from hfmm.models.vision.segmenter.modeling_segmenter import (
    SegmenterForSemanticSegmentation,
    SegmenterLinearDecoder,
    SegmenterMaskDecoder,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

D, K = 16, 5
ENCODER = {"model_type": "vit", "image_size": 16, "patch_size": 4, "hidden_size": D}
ENCODER |= {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 4 * D}
TINY = {"encoder_config": ENCODER, "num_labels": K}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**fields):
    with seeded():
        return SegmenterForSemanticSegmentation(SegmenterConfig(**{**TINY, **fields})).eval()


class TestSegmenter(ModelTests, Bundles):
    architecture = "segmenter"
    model_class = SegmenterForSemanticSegmentation
    overfit_steps = 200
    overfit_ratio = 0.2  # masks are normalized, so that scores grow slowly

    def config(self):
        return SegmenterConfig(**TINY)

    def inputs(self):
        patches = torch.arange(16).view(4, 4) % K
        labels = torch.stack([patches, patches.T, patches.flip(1)])
        labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)
        labels[:, 0, 0] = 255
        return {"pixel_values": noise(3, 3, 16, 16), "labels": labels}


class TestSegmenterWithALinearDecoder(TestSegmenter):
    overfit_ratio = 0.1

    def config(self):
        return SegmenterConfig(**TINY, decoder="linear")


def parameters(module):
    return sum(value.numel() for value in module.parameters())


def layer_count(width):
    """Of a pre-norm layer with four times its width inside: attention 4 D^2, MLP 8 D^2, biases and norms."""
    return 12 * width**2 + 13 * width


def test_the_decoders_are_those_of_the_configuration():
    assert isinstance(small().decoder, SegmenterMaskDecoder)
    assert isinstance(small(decoder="linear").decoder, SegmenterLinearDecoder)
    assert isinstance(small().encoder, ViTModel)
    assert len(small(num_decoder_layers=3).decoder.layers) == 3
    with pytest.raises(Exception, match="decoder"):
        SegmenterConfig(decoder="pup")


@pytest.mark.parametrize("decoder", ["mask", "linear"])
@pytest.mark.parametrize("size", [(16, 16), (8, 24), (24, 20)])
def test_there_is_a_score_for_each_class_of_each_pixel(decoder, size):
    assert small(decoder=decoder)(noise(2, 3, *size)).logits.shape == (2, K, *size)


def test_masks_are_cosines():
    with torch.no_grad():
        masks = small().decoder.masks(9 * noise(3, 7, D))
    assert masks.shape == (3, 7, K)
    assert masks.abs().max() <= 1 + 1e-6
    assert masks.abs().max() > 0.05


def test_the_linear_decoder_has_a_weight_a_class_and_dimension_and_a_bias():
    assert parameters(small(decoder="linear").decoder) == K * (D + 1)


def test_the_mask_transformer_has_the_parameters_of_its_formula():
    """M layers, the projection of patches, W_p and W_c, a vector a class, and two normalizations."""
    expected = 2 * layer_count(D) + (D**2 + D) + 2 * D**2 + K * D + 2 * D + 2 * K
    assert parameters(small().decoder) == expected


def test_the_paper_s_sizes_have_the_parameters_of_their_formulas():
    """Seg-L-Mask/16 at 640 pixels and Seg-B/16 with a linear decoder at 512, for the 150 classes of ADE20K."""

    def encoder(width, layers, patches):
        return 3 * 16**2 * width + width + width + (patches + 1) * width + layers * layer_count(width) + 2 * width

    large = encoder(1024, 24, 40**2)
    large += 2 * layer_count(1024) + (1024**2 + 1024) + 2 * 1024**2 + 150 * 1024 + 2 * 1024 + 2 * 150
    for preset, expected in (("paper", large), ("linear", encoder(768, 12, 32**2) + 150 * 769)):
        with torch.device("meta"):
            model = factory.create_model("segmenter", preset=preset)
        assert parameters(model) == expected


def test_a_pixel_of_one_class_moves_the_vector_of_every_class():
    """The softmax and the normalization join them; the encoder's own class token is moved through attention."""
    model = small()
    model(noise(1, 3, 16, 16)).logits[0, 2, 7, 7].backward()
    gradient = model.decoder.class_embeddings.grad[0]
    assert (gradient.norm(dim=-1) > 0).all()
    assert model.encoder.embeddings.cls_token.grad.any()


def test_the_masks_are_the_released_code_written_again():
    decoder, patches = small().decoder, noise(2, 6, D)
    with torch.no_grad():
        tokens = patches @ decoder.projection.weight.T + decoder.projection.bias
        tokens = torch.cat([tokens, decoder.class_embeddings.repeat(2, 1, 1)], 1)
        for layer in decoder.layers:
            tokens = layer(tokens, None)
        tokens = layer_norm(tokens, (D,), decoder.normalization.weight, decoder.normalization.bias)
        expected = torch.zeros(2, 6, K)
        for b in range(2):
            for n in range(6):
                for k in range(K):
                    patch = tokens[b, n] @ decoder.patch_projection
                    name = tokens[b, 6 + k] @ decoder.class_projection
                    expected[b, n, k] = patch @ name / (patch.norm() * name.norm())
        torch.testing.assert_close(decoder.masks(patches), expected, rtol=1e-4, atol=1e-5)
        mean, spread = expected.mean(-1, keepdim=True), expected.var(-1, unbiased=False, keepdim=True)
        torch.testing.assert_close(decoder(patches), (expected - mean) / (spread + 1e-5).sqrt(), rtol=1e-3, atol=1e-4)


def test_patches_go_where_they_came_from():
    """Before they are enlarged, scores of a linear decoder are those of each patch in its row and column."""
    model, pixels = small(decoder="linear"), noise(1, 3, 8, 12)
    with torch.no_grad():
        encoded = model.encoder(pixels, interpolate_pos_encoding=True).last_hidden_state
        scores = torch.zeros(1, K, 2, 3)
        for row in range(2):
            for column in range(3):
                scores[0, :, row, column] = model.decoder.classifier(encoded[0, 1 + 3 * row + column])
        torch.testing.assert_close(model(pixels).logits, interpolate(scores, size=(8, 12), mode="bilinear"))


def test_factors_of_the_masks_start_with_the_inverse_root_of_the_width():
    with seeded():
        config = SegmenterConfig(**{**TINY, "encoder_config": {**ENCODER, "hidden_size": 64}})
        decoder = SegmenterForSemanticSegmentation(config).decoder
    assert decoder.patch_projection.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert decoder.class_projection.std().item() == pytest.approx(1 / 8, rel=0.05)
    assert decoder.class_embeddings.std().item() == pytest.approx(0.02, rel=0.15)


def test_pictures_of_parts_of_patches_are_refused():
    with pytest.raises(ValueError, match="pictures are 16 x 18 but patches of 4 pixels must fit their sides"):
        small()(noise(1, 3, 16, 18))
