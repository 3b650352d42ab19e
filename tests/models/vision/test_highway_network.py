"""Highway networks: the equations, what open and closed gates do, and depth."""

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.nn.functional import cross_entropy, relu

from hfmm import factory
from hfmm.models.vision.highway_network.configuration_highway_network import HighwayNetworkConfig
from hfmm.models.vision.highway_network.modeling_highway_network import (
    HighwayLayer,
    HighwayNetworkForImageClassification,
    PlainLayer,
)
from tests.testing import ModelTests, seeded
from tests.testing_hub import Bundles

DENSE = {"image_size": 4, "hidden_sizes": [12, 8], "depths": [3, 2], "transform_bias": -1.0}
CONVOLUTION = {**DENSE, "form": "convolution"}
FORMS = ["dense", "convolution"]


def pictures(count=3, size=4, channels=3):
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def layer(form="dense", bias=0.0, size=6):
    """A layer with gates that begin at a bias, in double precision."""
    with seeded():
        highway = HighwayLayer(form, size).double()
        torch.nn.init.normal_(highway.transform.bias)
        torch.nn.init.constant_(highway.gate_bias, bias)
    return highway


def features(form="dense", size=6):
    shape = (2, size) if form == "dense" else (2, size, 5, 5)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class TestHighwayNetworkForImageClassification(ModelTests, Bundles):
    architecture = "highway_network"
    model_class = HighwayNetworkForImageClassification

    def config(self):
        return HighwayNetworkConfig(**DENSE, num_labels=4)

    def inputs(self):
        return {"pixel_values": pictures(), "labels": torch.tensor([0, 1, 2])}


class TestHighwayNetworkOfConvolutions(TestHighwayNetworkForImageClassification):
    def config(self):
        return HighwayNetworkConfig(**CONVOLUTION, num_labels=4)


@pytest.mark.parametrize("form", FORMS)
def test_the_layer_is_equation_3(form):
    highway, x = layer(form), features(form)
    transformed, opening = relu(highway.transform(x)), torch.sigmoid(highway.gate(x) + highway.gate_bias)
    torch.testing.assert_close(highway(x)[0], transformed * opening + x * (1 - opening))


def test_the_layer_by_hand():  # two units; W_H and W_T act on (1, 2)
    highway, x = layer(size=2), torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    highway.load_state_dict(
        {
            "transform.weight": torch.tensor([[1.0, 1.0], [-1.0, 0.0]]),
            "transform.bias": torch.zeros(2),
            "gate.weight": torch.zeros(2, 2),
            "gate_bias": torch.log(torch.tensor([3.0, 1.0])),
        }
    )
    found, opening = highway(x)
    torch.testing.assert_close(opening, torch.tensor([[0.75, 0.5]], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([[3 * 0.75 + 1 * 0.25, 0 * 0.5 + 2 * 0.5]], dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
def test_closed_gates_carry_and_open_gates_transform(form):  # Eq. 4
    x = features(form)
    assert torch.equal(layer(form, bias=-1e4)(x)[0], x)
    open_layer = layer(form, bias=1e4)
    assert torch.equal(open_layer(x)[0], relu(open_layer.transform(x)))


def test_the_jacobian_is_the_identity_or_that_of_the_transform():  # Eq. 5
    x = features()[0]
    torch.testing.assert_close(jacobian(lambda row: layer(bias=-1e4)(row)[0], x), torch.eye(6, dtype=torch.float64))
    open_layer = layer(bias=1e4)
    is_active = (open_layer.transform(x) > 0).double()[:, None]
    torch.testing.assert_close(jacobian(lambda row: open_layer(row)[0], x), is_active * open_layer.transform.weight)


@pytest.mark.parametrize("form", FORMS)
def test_gates_lie_between_0_and_1(form):
    with seeded():
        model = HighwayNetworkForImageClassification(HighwayNetworkConfig(**{**DENSE, "form": form}))
    output = model(pictures(), output_gates=True, output_hidden_states=True)
    assert len(output.transform_gates) == 2 + 1  # of 3 and 2 layers; the first of each stage is plain
    assert len(output.hidden_states) == 3 + 2
    assert all(0 < gates.min() < gates.max() < 1 for gates in output.transform_gates)
    assert output.transform_gates[0].shape == output.hidden_states[1].shape
    assert model(pictures()).transform_gates is None


@pytest.mark.parametrize("form", FORMS)
def test_gates_begin_biased_toward_carrying(form):
    model = HighwayNetworkForImageClassification(
        HighwayNetworkConfig(**{**DENSE, "form": form, "transform_bias": -3.0})
    )
    biases = [part.gate_bias for part in model.modules() if isinstance(part, HighwayLayer)]
    assert biases
    assert all((bias == -3).all() for bias in biases)


def test_logits_are_those_of_the_equations():
    with seeded():
        model = HighwayNetworkForImageClassification(HighwayNetworkConfig(**DENSE, num_labels=4))
    weights, x = model.state_dict(), pictures().flatten(1)
    for stage, depth in enumerate(DENSE["depths"]):
        for index in range(depth):
            of_layer = {name.split(".", 3)[3]: value for name, value in weights.items()
                        if name.startswith(f"stages.{stage}.{index}.")}  # fmt: skip
            y = (x @ of_layer["transform.weight"].T + of_layer["transform.bias"]).clamp(min=0)
            if index:
                opening = 1 / (1 + torch.exp(-(x @ of_layer["gate.weight"].T + of_layer["gate_bias"])))
                y = y * opening + x * (1 - opening)
            x = y
    output = model(pictures(), labels=torch.tensor([3, 0, 1]))
    logits = x @ weights["classifier.weight"].T + weights["classifier.bias"]
    torch.testing.assert_close(output.logits, logits)
    torch.testing.assert_close(output.loss, cross_entropy(logits, torch.tensor([3, 0, 1])))


def test_convolutions_keep_the_size_and_stages_halve_it():
    model = HighwayNetworkForImageClassification(HighwayNetworkConfig(**CONVOLUTION))
    states = model(pictures(1, 10), output_hidden_states=True).hidden_states
    assert [tuple(state.shape[1:]) for state in states] == 3 * [(12, 10, 10)] + 2 * [(8, 5, 5)]


def test_paper_has_a_plain_layer_and_49_highways():
    with torch.device("meta"):
        model = factory.create_model("highway_network", "paper")
    kinds = [type(part) for part in model.stages[0]]
    assert kinds == [PlainLayer] + 49 * [HighwayLayer]
    assert sum(value.numel() for value in model.parameters()) == 2352 * 50 + 50 + 49 * 5100 + 510


def test_plain_layers_of_71_units_have_the_parameters_of_highways_of_50():
    with torch.device("meta"):
        highway, plain = HighwayLayer("dense", 50), PlainLayer("dense", 71, 71)
    counts = [sum(value.numel() for value in part.parameters()) for part in (highway, plain)]
    assert counts == [5100, 5112]


def losses(gated, size, learning_rate, steps=60):
    """Losses of a network of 100 layers on 64 small pictures, whose class another network made up."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 1, 4, 4, generator=generator)
    scores = relu(x.flatten(1) @ torch.randn(16, 16, generator=generator)) @ torch.randn(16, 4, generator=generator)
    labels = (scores - scores.mean(0)).argmax(1)
    sizes = {"num_channels": 1, "image_size": 4, "hidden_sizes": [size], "depths": [100], "num_labels": 4}
    with seeded():
        config = HighwayNetworkConfig(**sizes, gated=gated, transform_bias=-4.0)
        model = HighwayNetworkForImageClassification(config)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    found = []
    for _ in range(steps):
        loss = model(x, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_100_layers_train_where_the_plain_network_stalls():  # figure 1
    """The plain network gets equally many parameters, and the best of its learning rates."""
    highway = losses(gated=True, size=50, learning_rate=0.3)
    assert highway[-1] < 0.1 * highway[0]
    for learning_rate in (0.003, 0.01, 0.03):
        plain = losses(gated=False, size=71, learning_rate=learning_rate)
        assert not plain[-1] < 0.5 * plain[0], learning_rate


def test_pictures_of_another_size_are_refused_by_dense_layers():
    with pytest.raises(ValueError, match="pictures are 8 x 8 but the classifier takes 4 x 4"):
        HighwayNetworkForImageClassification(HighwayNetworkConfig(**DENSE))(pictures(1, 8))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depths": [2, 2]}, "must name the same stages"),
        ({"hidden_sizes": [], "depths": []}, "must name the same stages"),
        ({"depths": [0]}, "a stage has a layer or more"),
        ({"form": "recurrent"}, "form"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        HighwayNetworkConfig(**fields)
