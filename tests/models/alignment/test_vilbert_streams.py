"""ViLBERT's two streams: order of layers, co-attention, masking, and parity with the equations written again."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear
from transformers import BertModel

from hfmm.models.alignment.vilbert.modeling_vilbert import (
    WHOLE,
    VilbertForImageAndTextRetrieval,
    VilbertForPreTraining,
    VilbertForQuestionAnswering,
    VilbertModel,
    alignment_scores,
    masked_region_loss,
)
from hfmm.nn.masking import mask_regions, mask_words
from tests.models.alignment.tiny_vilbert import CLASSES, FEATURES, config, model, regions, words
from tests.testing import seeded


def everything():
    return {**words(), **regions()}


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


# Masking

DRAWS = 100_000


def test_fifteen_of_a_hundred_words_are_asked_for_and_eight_of_ten_of_them_masked():
    ids = torch.full((100, DRAWS // 100), 5)
    maskable = torch.ones_like(ids).bool()
    maskable[:, 0] = False
    with seeded():
        read, labels = mask_words(ids, maskable, mask_token_id=9, vocab_size=1000)
    asked = labels != -100
    assert asked.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert not asked[:, 0].any()
    assert torch.equal(labels[asked], ids[asked])
    assert torch.equal(read[~asked], ids[~asked])
    assert (read[asked] == 9).float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert (read[asked] == 5).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_fifteen_of_a_hundred_regions_are_asked_for_and_nine_of_ten_of_them_hidden():
    boxes = torch.rand(100, DRAWS // 100, 4)
    is_region = torch.ones(boxes.shape[:2]).bool()
    is_region[:, -1] = False
    with seeded():
        asked, hidden = mask_regions(boxes, is_region, overlap=None)
    assert asked.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert hidden[asked].float().mean().item() == pytest.approx(0.9, abs=0.01)
    assert not hidden[~asked].any()
    assert not asked[:, -1].any()


def test_what_overlaps_a_hidden_region_is_hidden_with_it():
    boxes = torch.tensor([[0.0, 0, 0.4, 0.4], [0.02, 0, 0.42, 0.4], [0.6, 0.6, 1, 1]]).expand(500, 3, 4)
    is_region = torch.ones(500, 3).bool()
    with seeded():
        asked, hidden = mask_regions(boxes, is_region)
    with seeded():
        alone_asked, alone = mask_regions(boxes, is_region, overlap=None)
    assert torch.equal(asked, alone_asked)
    assert torch.equal(hidden[:, 2], alone[:, 2])
    for row in (0, 1):
        assert torch.equal(hidden[:, row], alone[:, 0] | alone[:, 1])


# Parity


def restated(weights, given, settings):  # noqa: C901  one function a layer
    """Pooled states by the figure and the released code's order, from a dictionary of weights alone."""

    def dense(states, name):
        return linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(states, name):
        return layer_norm(
            states, states.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], settings.layer_norm_eps
        )

    def attend(query, key, value, mask, heads):
        def split(states):
            return torch.stack(states.chunk(heads, -1), 1)

        logits = torch.einsum("bhqd,bhkd->bhqk", split(query), split(key)) / math.sqrt(query.shape[-1] // heads)
        shares = logits.masked_fill(mask[:, None, None] == 0, -torch.inf).softmax(-1)
        return torch.cat(torch.einsum("bhqk,bhkd->bhqd", shares, split(value)).unbind(1), -1)

    def feed(states, up, down):
        return norm(dense(gelu(dense(states, f"{up}.dense")), f"{down}.dense") + states, f"{down}.LayerNorm")

    def layer(states, mask, name, heads):
        own = f"{name}.attention.self"
        seen = attend(*(dense(states, f"{own}.{part}") for part in ("query", "key", "value")), mask, heads)
        output = f"{name}.attention.output"
        states = norm(dense(seen, f"{output}.dense") + states, f"{output}.LayerNorm")
        return feed(states, f"{name}.intermediate", f"{name}.output")

    def connect(text, visual, number):
        name = f"encoder.connections.{number}"
        parts = {
            f"{stream}_{part}": dense(states, f"{name}.attention.{stream}_{part}")
            for stream, states in (("text", text), ("visual", visual))
            for part in ("query", "key", "value")
        }
        heads = settings.joint_num_heads
        of_text = attend(parts["text_query"], parts["visual_key"], parts["visual_value"], visual_mask, heads)
        of_visual = attend(parts["visual_query"], parts["text_key"], parts["text_value"], text_mask, heads)
        found = []
        for stream, states, seen in (("text", text, of_text), ("visual", visual, of_visual)):
            output = f"{name}.{stream}_attention_output"
            states = norm(dense(seen, f"{output}.dense") + states, f"{output}.LayerNorm")
            found.append(feed(states, f"{name}.{stream}_intermediate", f"{name}.{stream}_output"))
        return found

    ids, text_mask = given["input_ids"], given["attention_mask"]
    embeddings = [weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    text = norm(embeddings[0][ids] + embeddings[1][: ids.shape[1]] + embeddings[2][0], "embeddings.LayerNorm")
    embeds, locations, mask = (given[f"visual_{name}"] for name in ("embeds", "locations", "attention_mask"))
    mean = torch.stack([rows[seen == 1].mean(0) for rows, seen in zip(embeds, mask, strict=True)])[:, None]
    embeds = torch.cat([mean, embeds], 1)
    locations = torch.cat([torch.tensor([[[0.0, 0, 1, 1, 1]]]).repeat(len(mask), 1, 1), locations], 1)
    visual_mask = torch.cat([torch.ones_like(mask[:, :1]), mask], 1)
    visual = norm(
        dense(embeds, "visual_embeddings.features") + dense(locations, "visual_embeddings.locations"),
        "visual_embeddings.norm",
    )
    for number in (0, 1):
        text = layer(text, text_mask, f"encoder.text_layers.{number}", settings.num_attention_heads)
    for number in (0, 1):
        text, visual = connect(text, visual, number)
        visual = layer(visual, visual_mask, f"encoder.visual_layers.{number}", settings.visual_num_heads)
        text = layer(text, text_mask, f"encoder.text_layers.{number + 2}", settings.num_attention_heads)
    pooled = (dense(text[:, 0], "text_pooler.dense"), dense(visual[:, 0], "visual_pooler.dense"))
    return [state.clamp(min=0) for state in pooled]


@torch.no_grad()
def test_it_equals_the_equations_written_again():
    trunk = model()
    with seeded(2):
        for weight in trunk.parameters():  # gains and biases that matter
            weight.add_(0.1 * torch.randn_like(weight))
    output = trunk(**everything())
    text, visual = restated(trunk.state_dict(), everything(), trunk.config)
    torch.testing.assert_close(output.pooler_output, text, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.visual_pooler_output, visual, rtol=1e-4, atol=1e-5)
