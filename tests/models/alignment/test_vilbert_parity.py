"""ViLBERT's pooled states equal the figure and the released code's order written again, from the weights alone."""

import math

import torch
from torch.nn.functional import gelu, layer_norm, linear

from tests.models.alignment.tiny_vilbert import everything, model
from tests.testing import seeded


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
