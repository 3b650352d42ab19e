"""ViLBERT's two streams: order of layers, co-attention, padding, fusion and losses."""

import math

import torch
from torch.nn.functional import cross_entropy
from transformers import BertModel

from hfmm.models.alignment.vilbert.modeling_vilbert import (
    VilbertForImageAndTextRetrieval,
    VilbertForPreTraining,
    VilbertForQuestionAnswering,
    VilbertModel,
    alignment_scores,
    masked_region_loss,
)
from hfmm.models.alignment.vilbert.streams_vilbert import WHOLE
from tests.models.alignment.tiny_vilbert import CLASSES, FEATURES, config, everything, model, regions, words

# Order and co-attention


def test_layers_run_in_the_order_of_the_released_code():
    with torch.device("meta"):
        trunk = VilbertModel(
            config(num_hidden_layers=12, visual_num_layers=6, text_connections=None, visual_connections=None)
        )
    trunk = trunk.to_empty(device="cpu")
    seen = []
    for letter, layers in (
        ("T", trunk.encoder.text_layers), ("V", trunk.encoder.visual_layers), ("C", trunk.encoder.connections)
    ):  # fmt: skip
        for number, layer in enumerate(layers):
            layer.register_forward_hook(lambda *_, name=f"{letter}{number}": seen.append(name))
    with torch.no_grad():
        trunk.embeddings.position_ids.copy_(torch.arange(12)[None])
        trunk.embeddings.token_type_ids.zero_()
        trunk(**everything())
    expected = [f"T{number}" for number in range(6)]
    for number in range(6):
        expected += [f"C{number}", f"V{number}", f"T{6 + number}"]
    assert seen == expected


@torch.no_grad()
def test_without_queries_and_keys_each_stream_gets_the_mean_of_the_others_values():
    attention = model().encoder.connections[0].attention
    for part in (attention.text_query, attention.text_key, attention.visual_query, attention.visual_key):
        part.weight.zero_()
        part.bias.zero_()
    text, visual = torch.randn(2, 6, 12), torch.randn(2, 5, 16)
    nothing = torch.zeros(2, 1, 1, 1)
    seen_by_words, seen_by_regions, *_ = attention(text, visual, nothing, nothing)
    mean_of_regions = attention.visual_value(visual).mean(1, keepdim=True)
    mean_of_words = attention.text_value(text).mean(1, keepdim=True)
    torch.testing.assert_close(seen_by_words, mean_of_regions.expand(-1, 6, -1))
    torch.testing.assert_close(seen_by_regions, mean_of_words.expand(-1, 5, -1))


@torch.no_grad()
def test_co_attention_does_not_see_a_streams_own_values():
    attention = model().encoder.connections[0].attention
    text, visual, nothing = torch.randn(2, 6, 12), torch.randn(2, 5, 16), torch.zeros(2, 1, 1, 1)
    words_before, regions_before, *_ = attention(text, visual, nothing, nothing)
    attention.visual_value.weight.normal_()
    words_after, regions_after, *_ = attention(text, visual, nothing, nothing)
    assert torch.equal(regions_before, regions_after)
    assert not torch.equal(words_before, words_after)


@torch.no_grad()
def test_without_connections_the_text_stream_is_bert():
    settings = config(text_connections=[], visual_connections=[])
    trunk = model(settings=settings)
    bert = BertModel(settings.of_text(), add_pooling_layer=False).eval()
    bert.embeddings.load_state_dict(trunk.embeddings.state_dict())
    bert.encoder.layer.load_state_dict(trunk.encoder.text_layers.state_dict())
    expected = bert(**words(), output_hidden_states=True)
    torch.testing.assert_close(trunk(**everything()).last_hidden_state, expected.last_hidden_state)
    states = trunk.embeddings(words()["input_ids"])
    mask = (1 - words()["attention_mask"][:, None, None].float()) * torch.finfo(torch.float32).min
    for layer, known in zip(trunk.encoder.text_layers, expected.hidden_states[1:], strict=True):
        states = layer(states, mask)
        torch.testing.assert_close(states, known)


# Padding


@torch.no_grad()
def test_padding_gets_no_attention():
    output = model()(**everything(), output_attentions=True)
    of_words, of_regions = output.text_attentions, output.visual_attentions
    assert len(of_words) == len(of_regions) == 2
    padded_words = words()["attention_mask"] == 0
    for attention in of_regions:
        assert not attention.transpose(1, 3)[padded_words].any()
    for attention in of_words:
        assert not attention[2, ..., 5].any()  # <IMG> is the first, so the fifth region is the sixth
        torch.testing.assert_close(attention.sum(-1), torch.ones(3, 2, 6))


@torch.no_grad()
def test_padding_changes_nothing():
    trunk, given = model(), everything()
    expected = trunk(**given)
    more = {
        "input_ids": torch.cat([given["input_ids"], torch.full((3, 2), 7)], 1),
        "attention_mask": torch.cat([given["attention_mask"], torch.zeros(3, 2, dtype=torch.long)], 1),
        "visual_embeds": torch.cat([given["visual_embeds"], torch.randn(3, 2, FEATURES)], 1),
        "visual_locations": torch.cat([given["visual_locations"], torch.rand(3, 2, 5)], 1),
        "visual_attention_mask": torch.cat([given["visual_attention_mask"], torch.zeros(3, 2, dtype=torch.long)], 1),
    }
    found = trunk(**more)
    for name in ("pooler_output", "visual_pooler_output"):
        torch.testing.assert_close(found[name], expected[name])
    torch.testing.assert_close(found.last_hidden_state[:, :6], expected.last_hidden_state)


# Regions and fusion


@torch.no_grad()
def test_the_whole_picture_is_the_mean_of_its_regions_and_as_large_as_it():
    embeddings = model().visual_embeddings
    given = regions()
    embeds, locations, mask = given.values()
    states, all_of_them = embeddings(embeds, locations, mask)
    means = torch.stack([embeds[0].mean(0), embeds[1].mean(0), embeds[2, :4].mean(0)])
    expected = embeddings.norm(embeddings.features(means) + embeddings.locations(torch.tensor(WHOLE)))
    torch.testing.assert_close(states[:, 0], expected)
    assert all_of_them.tolist() == [[1] * 6, [1] * 6, [1] * 5 + [0]]


@torch.no_grad()
def test_a_hidden_region_has_no_features():
    trunk, given = model(), regions()
    hidden = torch.tensor([[0, 1, 0, 0, 0]] * 3).bool()
    zeroed = given["visual_embeds"].masked_fill(hidden[..., None], 0)
    expected = trunk(**words(), **{**given, "visual_embeds": zeroed})
    found = trunk(**words(), **given, hidden_regions=hidden)
    torch.testing.assert_close(found.visual_hidden_state, expected.visual_hidden_state)


@torch.no_grad()
def test_both_streams_weigh_alike_in_the_product():
    trunk = model()
    output = trunk(**everything())
    fused = trunk.fuse(output)
    torch.testing.assert_close(fused, output.pooler_output * output.visual_pooler_output)
    output.pooler_output, output.visual_pooler_output = output.visual_pooler_output, output.pooler_output
    assert torch.equal(trunk.fuse(output), fused)
    assert (output.pooler_output >= 0).all()  # the poolers' rectifiers
    assert (output.visual_pooler_output >= 0).all()


@torch.no_grad()
def test_linear_streams_would_give_a_bilinear_score():
    """As pointwise mutual information retrieval has it: theta weighs products of a picture's and a text's features."""
    head = model(VilbertForImageAndTextRetrieval).alignment
    of_image, of_text = torch.randn(8, 10), torch.randn(8, 12)
    image, text = torch.randn(10), torch.randn(12)
    logits = head((of_image @ image) * (of_text @ text)) - head.bias
    weights = head.weight[0] - head.weight[1]
    theta = of_image.T @ torch.diag(weights) @ of_text  # 10 12
    torch.testing.assert_close(alignment_scores(logits), image @ theta @ text)


def test_the_score_is_how_much_likelier_aligned_is():
    logits = torch.tensor([[2.0, 0.5], [-1.0, 1.0]])
    torch.testing.assert_close(alignment_scores(logits), torch.tensor([1.5, -2.0]))
    torch.testing.assert_close(alignment_scores(logits).sigmoid(), logits.softmax(-1)[:, 0])


# Losses


def test_the_divergence_from_one_class_is_the_cross_entropy():
    logits = torch.randn(2, 3, CLASSES)
    labels = torch.tensor([[0, 1, 2], [3, 4, 0]])
    asked = torch.tensor([[True, False, True], [False, True, False]])
    found = masked_region_loss(logits, torch.eye(CLASSES)[labels], asked)
    torch.testing.assert_close(found, cross_entropy(logits[asked], labels[asked]))


def test_the_divergence_is_zero_where_the_detector_is_met():
    logits = torch.randn(2, 3, CLASSES)
    asked = torch.ones(2, 3, dtype=torch.bool)
    assert masked_region_loss(logits, logits.softmax(-1), asked).abs() < 1e-6
    by_hand = (torch.tensor(0.5) * math.log(0.5 / 0.25)) * 2
    uniform = torch.zeros(1, 1, 4)
    target = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])
    torch.testing.assert_close(masked_region_loss(uniform, target, asked[:1, :1]), by_hand)


def test_without_a_masked_region_there_is_no_loss():
    logits = torch.randn(2, 3, CLASSES, requires_grad=True)
    loss = masked_region_loss(logits, torch.full((2, 3, CLASSES), 1 / CLASSES), torch.zeros(2, 3, dtype=torch.bool))
    assert loss == 0
    loss.backward()
    assert not logits.grad.any()


def test_the_loss_is_the_sum_of_the_three():
    pretrained, given = model(VilbertForPreTraining), everything()
    labels = torch.full((3, 6), -100)
    labels[0, 1], labels[1, 2] = 5, 8
    masked = torch.tensor([[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()
    targets = torch.rand(3, 5, CLASSES).softmax(-1)
    aligned = torch.tensor([0, 1, 0])
    output = pretrained(**given, labels=labels, region_targets=targets, masked_regions=masked, alignment_labels=aligned)
    told = torch.stack([output.logits[0, 1], output.logits[1, 2]])
    expected = {
        "words": cross_entropy(told, torch.tensor([5, 8])),
        "regions": masked_region_loss(output.region_logits, targets, masked),
        "alignment": cross_entropy(output.alignment_logits, aligned),
    }
    assert output.losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(output.losses[name], value)
    torch.testing.assert_close(output.loss, sum(expected.values()))


@torch.no_grad()
def test_answers_are_scored_by_the_binary_cross_entropy_of_all():
    answering = model(VilbertForQuestionAnswering, config(num_labels=4))
    labels = torch.tensor([[1.0, 0, 0, 0], [0, 0.3, 0, 0.6], [0, 0, 0, 1]])
    output = answering(**everything(), labels=labels)
    probabilities = output.logits.sigmoid()
    by_hand = -(labels * probabilities.log() + (1 - labels) * (1 - probabilities).log()).sum(1).mean()
    torch.testing.assert_close(output.loss, by_hand)
