"""FaceNet (Schroff, Kalenichenko, Philbin, CVPR 2015, arXiv 1503.03832), and DeepFace (Taigman et al., CVPR 2014).

FaceNet maps a face to a point on the unit sphere; training draws pictures of one person together and pushes those of
others away by a margin. DeepFace learns to name the persons of its training set, through layers that convolve with
other weights at every place, and compares faces by what the layer before the names says of them.

Axes: B batch, C channels, H height, W width, L places of a map, D embedding, N pairs of an anchor and a positive,
K persons, R networks side by side, F faces of the background.

| paper | here |
|---|---|
| f(x), unit length (FaceNet section 3) | `image_embeds` |
| sum of [d(a, p) - d(a, n) + alpha]_+ over squared distances (Eqs. 1 to 3) | `triplet_loss` |
| all anchor-positive pairs, semi-hard negatives (section 3.2, Eq. 4) | `mine` |
| similarity less that of a local centroid (Hara et al. 2015) | `localized_centering` |
| sum of the kernels of several networks (DeepFace section 4.3) | `together` |
| C1, M2, C3, L4, L5, L6 (DeepFace figure 2) | `DeepfaceTrunk`, `LocallyConnected2d` |
| F7, F8 | `embedding`, `classifier` |
| G(I) (DeepFace section 3.3) | `feature_maxima`, `normalized` |

The lecture prints the loss without the positive part, which would reward pushing far negatives ever farther.
Departures are on the card.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, dropout, normalize, relu, softplus, unfold
from transformers import AutoBackbone, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_facenet import FacenetConfig

SMALLEST = 1e-12  # of a squared distance, below which its root has no useful slope


@dataclass
class FacenetOutput(ModelOutput):
    """What the models return.

    Attributes:
        loss: (), mean over triplets, or over pictures of the classifier, when labels are given.
        losses: Named figures of the batch, each (): `active`, the share of anchor-positive pairs (of anchors, for
            "batch_hard") that still push, and the mean squared distances `positive` and `negative` of all pairs.
        logits: (B, K), of the classifier.
        image_embeds: (B, D), unit length.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    logits: Tensor | None = None
    image_embeds: Tensor | None = None


def squared_distances(embeds: Tensor) -> Tensor:
    """Of every pair of unit vectors: ||a - b||^2 = 2 - 2 a.b. (B, D) -> (B, B)."""
    return (2 - 2 * embeds @ embeds.T).clamp(min=0)


def mine(
    distances: Tensor, labels: Tensor, alpha: float, mining: str, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """A negative for every pair of two pictures of a person; pairs for which there is none are left out.

    Semi-hard negatives are farther than the positive, but not by the margin; one of them is taken at random.

    Args:
        distances: (B, B), squared.
        labels: (B,), who is seen.
        alpha: The margin.
        mining: "semi_hard", "random_violating" (any within the margin, also nearer than the positive) or "hardest".
        generator: Of the random choice, on the CPU, so that it is the same on every device.

    Returns:
        Rows of anchors, positives and negatives, (N,) each.
    """
    same = labels[:, None] == labels  # B B
    anchor, positive = (same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)).nonzero().unbind(1)
    to_negative, to_positive = distances[anchor], distances[anchor, positive][:, None]  # N B, N 1
    usable = ~same[anchor]  # N B
    if mining == "hardest":
        preference = -to_negative
    else:
        usable = usable & (to_negative < to_positive + alpha)
        if mining == "semi_hard":
            usable = usable & (to_negative > to_positive)
        preference = torch.rand(usable.shape, generator=generator).to(distances.device)
    chosen = preference.masked_fill(~usable, -torch.inf).argmax(1)  # N
    found = usable.any(1)
    return anchor[found], positive[found], chosen[found]


def triplet_loss(to_positive: Tensor, to_negative: Tensor, alpha: float) -> Tensor:
    """[d(a, p) - d(a, n) + alpha]_+ of each triplet (Eq. 3). (N,), (N,) -> (N,)."""
    return (to_positive - to_negative + alpha).clamp(min=0)


def batch_hard_loss(distances: Tensor, labels: Tensor) -> Tensor:
    """softplus(farthest positive - nearest negative) of each anchor that has both (Hermans et al. 2017, Eq. 5).

    Args:
        distances: (B, B), squared; their roots are compared.
        labels: (B,).

    Returns:
        (N,).
    """
    same = labels[:, None] == labels  # B B
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    complete = positive.any(1) & ~same.all(1)  # B
    roots = distances.clamp(min=SMALLEST).sqrt()
    farthest = roots.masked_fill(~positive, -torch.inf).amax(1)[complete]  # N
    nearest = roots.masked_fill(same, torch.inf).amin(1)[complete]  # N
    return softplus(farthest - nearest)


def localized_centering(embeds: Tensor, background: Tensor, num_neighbors: int, share: float) -> Tensor:
    """Take off what a face has in common with the faces of others that are most like it.

    After localized centering (Hara et al., AAAI 2015), which takes the product with the local centroid off
    similarities; here the centroid is taken off the vector, so that a cosine still compares two faces.

    Args:
        embeds: (B, D), unit length.
        background: (F, D), faces of others; without length they change nothing.
        num_neighbors: Of the background, most like a face: their mean is its local centroid.
        share: Of the centroid that is taken off.

    Returns:
        (B, D), unit length.
    """
    nearest = (embeds @ background.T).topk(num_neighbors).indices  # B k
    return normalize(embeds - share * background[nearest].mean(1), dim=-1)


def together(shares: Sequence[Tensor]) -> Tensor:
    """Unit vectors of several networks as one, whose cosine is the mean of theirs. R of (B, D) -> (B, R*D)."""
    return normalize(torch.cat(list(shares), -1), dim=-1)


class LocallyConnected2d(nn.Module):
    """A convolution with weights of its own at every place. (B, C, H, W) -> (B, C', H', W')."""

    def __init__(self, in_channels: int, out_channels: int, in_size: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.out_size = (in_size - kernel_size) // stride + 1
        places, window = self.out_size**2, in_channels * kernel_size**2
        self.weight = nn.Parameter(torch.empty(places, out_channels, window))
        self.bias = nn.Parameter(torch.empty(places, out_channels))

    def forward(self, feature_map: Tensor) -> Tensor:
        """Multiply the window of each place by that place's weights."""
        windows = unfold(feature_map, self.kernel_size, stride=self.stride)  # B C*k*k L
        out = torch.einsum("bwl,low->bol", windows, self.weight) + self.bias.T  # B C' L
        return out.unflatten(2, (self.out_size, self.out_size))  # B C' H' W'


class DeepfaceTrunk(nn.Module):
    """Convolutions, a pool, and locally connected layers. (B, C, H, W) -> (B, out_features)."""

    def __init__(self, config: FacenetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        channels, side = config.num_channels, config.image_size
        for (kind, width, kernel, stride), after in zip(config.layers or (), config.map_sizes(), strict=True):
            if kind == "pool":
                self.layers.append(nn.MaxPool2d(kernel, stride, ceil_mode=True))
                width = channels
            elif kind == "local":
                self.layers.append(LocallyConnected2d(channels, width, side, kernel, stride))
            else:
                self.layers.append(nn.Conv2d(channels, width, kernel, stride))
            channels, side = width, after
        self.out_features = channels * side**2

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Compute the last map, L6."""
        feature_map = pixel_values
        for layer in self.layers:
            feature_map = layer(feature_map)
            if not isinstance(layer, nn.MaxPool2d):
                feature_map = relu(feature_map)
        return feature_map.flatten(1)  # B C*H*W


class BackboneTrunk(nn.Module):
    """A backbone, its last map averaged to few cells. (B, C, H, W) -> (B, out_features)."""

    def __init__(self, config: FacenetConfig) -> None:
        super().__init__()
        self.backbone = AutoBackbone.from_config(config.backbone_config)
        self.pool_size = config.pool_size
        self.out_features = self.backbone.channels[-1] * config.pool_size**2

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Compute the last map and average it."""
        feature_map = self.backbone(pixel_values).feature_maps[-1]
        return adaptive_avg_pool2d(feature_map, self.pool_size).flatten(1)  # B C*pool*pool


class FaceNetwork(nn.Module):
    """One network: a trunk, and the last layer on top of it."""

    feature_maxima: Tensor  # of DeepFace's features over its training set

    def __init__(self, config: FacenetConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = BackboneTrunk(config) if config.layers is None else DeepfaceTrunk(config)
        centered = config.batch_normalization
        self.embedding = nn.Linear(self.trunk.out_features, config.embedding_size, bias=not centered)
        self.batch_normalization = nn.BatchNorm1d(config.embedding_size) if centered else nn.Identity()
        if config.layers is not None:
            self.register_buffer("feature_maxima", torch.ones(config.embedding_size))

    @property
    def width(self) -> int:
        """Of what faces are compared by."""
        return self.trunk.out_features if self.config.projection_head else self.config.embedding_size

    def features(self, pixel_values: Tensor) -> Tensor:
        """What faces are compared by, before it has unit length. (B, C, H, W) -> (B, D)."""
        pooled = self.trunk(pixel_values)
        return pooled if self.config.projection_head else self.embedded(pooled)

    def embedded(self, pooled: Tensor) -> Tensor:
        """The last layer. (B, out_features) -> (B, embedding_size)."""
        features = self.batch_normalization(self.embedding(pooled))
        return features if self.config.layers is None else relu(features)

    def normalized(self, features: Tensor) -> Tensor:
        """Unit length; of DeepFace's after each is divided by its largest value over the training set, G(I)."""
        return normalize(features if self.config.layers is None else features / self.feature_maxima, dim=-1)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Embed faces: (B, C, H, W) -> what they are compared by (B, D), and what the loss compares (B, E)."""
        features = self.features(pixel_values)
        embeds = self.normalized(features)
        if self.config.average_mirrored and not self.training:
            embeds = normalize(embeds + self.normalized(self.features(pixel_values.flip(-1))), dim=-1)
        return embeds, normalize(self.embedded(features), dim=-1) if self.config.projection_head else embeds


class FacenetPreTrainedModel(PreTrainedModel):
    """Weights and loading shared by the models."""

    config_class = FacenetConfig
    base_model_prefix = "facenet"
    main_input_name = "pixel_values"
    input_modalities = ["image"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if self.config.layers is not None and isinstance(module, LocallyConnected2d | nn.Conv2d | nn.Linear):
            init.normal_(module.weight, std=0.01)  # and the biases: DeepFace section 3.1
            if module.bias is not None:
                init.constant_(module.bias, 0.5)
        elif isinstance(module, nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="linear")


class FacenetModel(FacenetPreTrainedModel):
    """Faces to the unit sphere; with `layers`, by what DeepFace's F7 says of them."""

    networks: Any  # a list of FaceNetwork
    background: Tensor  # faces of the training set

    def __init__(self, config: FacenetConfig) -> None:
        super().__init__(config)
        self.networks = nn.ModuleList(FaceNetwork(config) for _ in range(config.num_networks))
        if config.background_size:
            self.register_buffer("background", torch.zeros(config.background_size, self.width))
        self.post_init()

    @property
    def width(self) -> int:
        """Of what faces are compared by, all networks together."""
        return sum(network.width for network in self.networks)

    @torch.no_grad()
    def measure(self, batches: Iterable[Tensor]) -> None:
        """Look at the training set, (B, C, H, W) a batch, in evaluation mode.

        Of DeepFace's features the largest values are taken; of other models' faces, those of the background, as many
        of each person (of fewer faces than it has room for, some twice).
        """
        if self.config.layers is not None:
            maxima = torch.stack([self.features(pixel_values).amax(0) for pixel_values in batches]).amax(0)  # R D
            for network, largest in zip(self.networks, maxima, strict=True):
                network.feature_maxima.copy_(torch.where(largest > 0, largest, 1))
        elif self.config.background_size:
            faces = torch.cat([self.seen_alone(pixel_values)[0] for pixel_values in batches])  # M D
            spread = torch.arange(len(self.background), device=faces.device) * len(faces) // len(self.background)
            self.background.copy_(faces[spread])

    def features(self, pixel_values: Tensor) -> Tensor:
        """What each network compares faces by, before it has unit length. (B, C, H, W) -> (B, R, D)."""
        return torch.stack([network.features(pixel_values) for network in self.networks], 1)

    def normalized(self, features: Tensor) -> Tensor:
        """Unit length, of each network's share and of all together. (B, R, D) -> (B, R*D)."""
        pairs = zip(self.networks, features.unbind(1), strict=True)
        return together([network.normalized(share) for network, share in pairs])

    def seen_alone(self, pixel_values: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Faces without a background: (B, C, H, W) -> (B, R*D), and what the loss of each network compares, (B, E)."""
        shares, compared = zip(*(network(pixel_values) for network in self.networks), strict=True)
        return together(shares), compared

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> FacenetOutput:
        """Embed faces.

        Args:
            pixel_values: (B, C, H, W).
            labels: (B,), who is seen; persons of one picture serve as negatives alone.
            generator: Of the choice among negatives, on the CPU.
            kwargs: Not read; what transformers passes to every model.
        """
        embeds, compared = self.seen_alone(pixel_values)
        if self.config.background_size and not self.training:
            embeds = localized_centering(embeds, self.background, self.config.num_neighbors, self.config.centering)
        if labels is None:
            return FacenetOutput(image_embeds=embeds)
        found = [self.metric_loss(share.float(), labels, generator) for share in compared]
        loss = torch.stack([loss for loss, _ in found]).mean()
        losses = {name: torch.stack([parts[name] for _, parts in found]).mean() for name in found[0][1]}
        return FacenetOutput(loss=loss, losses=losses, image_embeds=embeds)

    def metric_loss(
        self, embeds: Tensor, labels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and what there is to see of it. (B, D), (B,) -> (), each ()."""
        distances = squared_distances(embeds)  # B B
        if self.config.loss == "batch_hard":
            each = batch_hard_loss(distances, labels)
            pushing, possible = (each > softplus(torch.zeros(()))).sum(), len(each)  # the nearest other is nearer
        else:
            triplets = mine(distances, labels, self.config.alpha, self.config.mining, generator)
            anchor, positive, negative = triplets
            each = triplet_loss(distances[anchor, positive], distances[anchor, negative], self.config.alpha)
            same = labels[:, None] == labels
            pushing, possible = (each > 0).sum(), int(same.sum()) - len(labels)
        loss = each.mean() if len(each) else distances.sum() * 0  # zero, and still a function of the weights
        return loss, {"active": pushing / max(possible, 1), **mean_distances(distances.detach(), labels)}


def mean_distances(distances: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Mean squared distance of pairs of one person and of two, zero where there are none. (B, B), (B,) -> each ()."""
    same = labels[:, None] == labels  # B B
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return {
        name: (distances * pairs).sum() / pairs.sum().clamp(min=1)
        for name, pairs in (("positive", positive), ("negative", ~same))
    }


class FacenetForImageClassification(FacenetPreTrainedModel):
    """The embedding before normalization, and a linear layer that names persons: DeepFace's way of learning."""

    def __init__(self, config: FacenetConfig) -> None:
        super().__init__(config)
        self.facenet = FacenetModel(config)
        self.classifier = nn.Linear(self.facenet.width, config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> FacenetOutput:
        """Name persons.

        Args:
            pixel_values: (B, C, H, W).
            labels: (B,), number of each picture's person.
            kwargs: For the loss, such as `num_items_in_batch`.
        """
        features = self.facenet.features(pixel_values)
        logits = self.classifier(dropout(features.flatten(1), self.config.dropout, self.training))  # B K
        loss = self.loss_function(labels, logits, self.config, **kwargs) if labels is not None else None
        return FacenetOutput(loss=loss, logits=logits, image_embeds=self.facenet.normalized(features))
