"""Show, Attend and Tell: the shared contract, sizes and settings; what the paper says is tested in the files beside."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, ResNetConfig

from hfmm import factory
from hfmm.models.captioning.show_attend_tell.modeling_show_attend_tell import (
    ShowAttendTellForConditionalGeneration,
    ShowAttendTellModel,
)
from hfmm.models.captioning.show_attend_tell.processing_show_attend_tell import ShowAttendTellProcessor
from tests.models.captioning.tiny_show_attend_tell import DEPTH, START, captioner, captions, config, pictures
from tests.testing import ModelTests
from tests.testing_generation import Describes, Generates
from tests.testing_hub import Bundles

ENERGY_BIAS = "decoder.recurrence.energy_bias"  # shifts all energies alike, which the softmax takes out


class TestShowAttendTell(ModelTests, Generates, Describes, Bundles):
    architecture = "show_attend_tell"
    model_class = ShowAttendTellForConditionalGeneration
    processor_class = ShowAttendTellProcessor
    without_effect = (f"model.{ENERGY_BIAS}",)

    def config(self):
        return config(doubly_stochastic_lambda=0.01)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": captions()}


class TestHardAttention(TestShowAttendTell):
    def config(self):
        return config(attention_type="hard", reinforce_lambda=0.01)  # whose surrogate without a baseline is no measure


class TestShowAttendTellModel(ModelTests, Bundles):
    architecture = "show_attend_tell"
    model_class = ShowAttendTellModel
    without_effect = (ENERGY_BIAS,)

    def config(self):
        return config(deep_output_activation="tanh", attention_layers=1, init_layers=1)

    def inputs(self):
        return {"pixel_values": pictures(), "decoder_input_ids": torch.tensor([[START, 5, 6]] * 3)}

    def loss(self, output):
        return (output.last_hidden_state**2).mean()


# Parameters and configuration


def decoder_parameters(model):
    return {name: value.numel() for name, value in model.named_parameters() if "encoder" not in name}


@pytest.mark.parametrize(("hidden_size", "count"), [(1800, 35_333_450), (1000, 21_452_650)])
def test_decoder_side_parameter_counts(hidden_size, count):
    with torch.device("meta"):
        model = factory.create_model("show_attend_tell", "paper", hidden_size=hidden_size)
    assert sum(decoder_parameters(model).values()) == count


def test_parameter_counts_by_part():
    with torch.device("meta"):
        counts = decoder_parameters(factory.create_model("show_attend_tell", "paper"))
    width, meeting = 1800, 512
    selector = width + counts.pop("model.decoder.recurrence.selector_bias")
    gates = 4 * width * width  # of the weights that meet h_{t-1}, the rows of the LSTM
    attention = counts["model.decoder.recurrence.hidden_weight"] - gates - width
    parts = {"embed_tokens": 5_120_000, "initial": 2_109_456, "output": 6_314_768}
    found = {part: sum(count for name, count in counts.items() if part in name) for part in parts}
    found["output"] += sum(count for name, count in counts.items() if "lm_head" in name)
    assert found == parts
    assert selector == 1_801
    assert attention == width * meeting
    named = sum(count for name, count in counts.items() if "annotation_" in name or "energy_" in name)
    assert attention + named == 1_447_425
    lstm = sum(count for name, count in counts.items() if "word_gates" in name or "context_weight" in name)
    assert lstm + gates == 20_340_000


def test_the_paper_preset_sees_196_annotations_of_vgg_19():
    with torch.device("meta"):
        encoder = factory.create_model("show_attend_tell", "paper").get_encoder()
        assert encoder(torch.empty(1, 3, 224, 224)).last_hidden_state.shape == (1, 196, 512)
    assert encoder.backbone.config.num_layers == 19


def test_presets_differ_as_decided():
    kinds = {name: factory.create_config("show_attend_tell", name) for name in ("tiny", "hard", "paper", "arctic_coco")}
    assert [name for name, kind in kinds.items() if kind.attention_type == "hard"] == ["hard"]
    assert [name for name, kind in kinds.items() if kind.deep_output_activation == "tanh"] == ["arctic_coco"]
    assert (kinds["paper"].doubly_stochastic_tau, kinds["paper"].doubly_stochastic_lambda) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pad_token_id": 99}, "pad_token_id is 99 but vocab_size is 12: no such word"),
        ({"eos_token_id": START}, "must be three different words"),
        ({"dropout": 1.5}, "dropout is 1.5 but is a share"),
        ({"hidden_size": 0}, "hidden_size is 0 but must be at least 1"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        config(**fields)


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="annotation_size is 17 but the backbone's last feature map has 16 channels"):
        ShowAttendTellModel(config(annotation_size=17))


def test_missing_inputs_are_named():
    with pytest.raises(ValueError, match="pixel_values and encoder_outputs are both missing"):
        captioner()(labels=captions())
    with pytest.raises(ValueError, match="decoder_input_ids are missing"):
        captioner()(pixel_values=pictures())


def test_any_backbone_of_transformers_serves(tmp_path):
    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8, DEPTH], depths=[1, 1], out_features=["stage2"])
    model = captioner(backbone_config=backbone)
    images = torch.randn(2, 3, 32, 32)
    assert model(images, labels=captions()[:2]).cross_attentions[0].shape == (2, 5, 16)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert torch.equal(loaded(images, labels=captions()[:2]).loss, model(images, labels=captions()[:2]).loss)


def test_square_weights_start_orthogonal_and_the_start_word_at_zero():
    model = captioner(embedding_size=10, initializer_range=0.01).model
    gates = model.decoder.recurrence.hidden_weight[:40].split(10)
    for square in (*gates, model.decoder.initial_layer.weight, model.decoder.hidden_output.weight):
        torch.testing.assert_close(square @ square.T, torch.eye(len(square)), rtol=0, atol=1e-5)
    assert model.decoder.recurrence.context_weight.abs().max() < 0.06
    assert not model.embed_tokens.weight[START].any()


def test_the_start_word_is_never_trained():
    model = captioner()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        model(pictures(), labels=captions()).loss.backward()
        optimizer.step()
    assert not model.model.embed_tokens.weight[START].any()
