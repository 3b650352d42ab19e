"""PMI retrieval and ImSearch (J. Thomason, CSCI 566, lecture 8): what is seen, by the company it keeps in words.

Features a of a picture and b of a text are compared by a matrix theta, one number a feature and word, which is counted
in pictures and their captions (no gradient), or learned so that a text finds its picture among distractors.

Axes: B batch, I pictures, N texts, T words of a text, P pixels, n features of a picture, m features of a text.

| lecture | here |
|---|---|
| psi: I -> R^n, colors in bins, labels, objects, codes | `picture_features` |
| omega: L -> R^m, bag of words, word vectors | `text_features` |
| F = sum_ij a_i theta_ij b_j | `score`, of a theta from `theta` and b |
| theta = #(i, j) / (#i + #j) | `association`, "cooccurrence" |
| PMI = log p(i, j) / (p(i) p(j)) | `association`, "pmi" |
| P(X|Y) with distractor pictures, P(Y|X) | `discriminative_loss`; of counts `association`, "image_given_text" |
| hinge losses | `discriminative_loss`, "hinge" |

There is no paper; what the lecture leaves open, and its slips, are on the card.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, relu
from transformers import AutoModel, AutoModelForImageClassification, AutoModelForObjectDetection, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from hfmm.nn.caption_processing import SPECIAL_WORDS
from hfmm.nn.pairs import PairOutput, compare

from .configuration_pmi_retrieval import PmiRetrievalConfig

ROUNDS = 20  # of k-means
BLOCK = 65_536  # pixels compared with the centers at once


def nearest_center(pixels: Tensor, centers: Tensor) -> Tensor:
    """The bin of each pixel, that of the nearest center in RGB. (P, 3), (K, 3) -> (P,)."""
    # |p - c|^2 = |p|^2 - 2 p.c + |c|^2, of which the first part is the same for all centers
    return torch.cat([((centers**2).sum(1) - 2 * part @ centers.T).argmin(1) for part in pixels.split(BLOCK)])


def bin_counts(pixel_values: Tensor, centers: Tensor) -> Tensor:
    """How many pixels of each picture lie in each bin of colors. (B, 3, H, W), (K, 3) -> (B, K)."""
    pixels = pixel_values.flatten(2).transpose(1, 2)  # B P 3
    bins = nearest_center(pixels.flatten(0, 1), centers).view(pixels.shape[:2])  # B P
    counts = pixels.new_zeros(len(pixels), len(centers))
    return counts.scatter_add(1, bins, torch.ones_like(bins, dtype=counts.dtype))  # B K


def color_grid(side: int) -> Tensor:
    """The centers of side^3 equal cubes of colors in [0, 1]. -> (side^3, 3)."""
    levels = (torch.arange(side) + 0.5) / side
    return torch.cartesian_prod(levels, levels, levels)


def color_means(pixels: Tensor, count: int, seed: int = 0) -> Tensor:
    """Centers of bins by k-means (Lloyd) from pixels drawn by a seed; one that loses all its pixels stays. -> (K, 3).

    Args:
        pixels: (P, 3).
        count: K.
        seed: Of the first centers, distinct colors where there are enough.
    """
    colors = pixels.unique(dim=0)
    order = torch.randperm(len(colors), generator=torch.Generator().manual_seed(seed)).to(pixels.device)
    centers = colors[order.repeat(-(-count // len(colors)))[:count]]
    for _ in range(ROUNDS):
        nearest = nearest_center(pixels, centers)
        sizes = nearest.bincount(minlength=count)[:, None]
        sums = torch.zeros_like(centers).index_add(0, nearest, pixels)
        centers = torch.where(sizes > 0, sums / sizes.clamp(min=1), centers)
    return centers


def association(pairs: Tensor, pictures: Tensor, words: Tensor, total: Tensor, measure: str) -> Tensor:
    """Theta from counts; 0 for what never occurred together.

    Args:
        pairs: (n, m), N_ij, how often feature i and word j occurred together.
        pictures: (n,), N_i.
        words: (m,), N_j.
        total: (), N, all pairs of a picture and a text.
        measure: "cooccurrence" N_ij / (N_i + N_j), at most 1/2, "dice" (twice that), "jaccard"
            N_ij / (N_i + N_j - N_ij), "pmi" log N_ij N / (N_i N_j), "ppmi" (where that is positive), "image_given_text"
            N_ij / N_j, and "text_given_image" N_ij / N_i.

    Returns:
        (n, m).
    """
    of_picture, of_word = pictures[:, None], words[None, :]
    parts = {
        "cooccurrence": (pairs, of_picture + of_word),
        "dice": (2 * pairs, of_picture + of_word),
        "jaccard": (pairs, of_picture + of_word - pairs),
        "image_given_text": (pairs, of_word),
        "text_given_image": (pairs, of_picture),
    }
    over, under = parts.get(measure, (pairs * total, of_picture * of_word))
    ratio = torch.where(pairs > 0, over / under, 0.0)
    if measure not in ("pmi", "ppmi"):
        return ratio
    information = torch.where(pairs > 0, ratio.log(), 0.0)
    return relu(information) if measure == "ppmi" else information


def discriminative_loss(scores: Tensor, truth: Tensor, loss: str) -> Tensor:
    """How badly texts find their pictures among these, or pictures their texts.

    Args:
        scores: (B pictures, B texts).
        truth: (B,), the row of the picture that each text is of, each once.
        loss: "image_given_text", -log P(X|Y), "text_given_image", -log P(Y|X), "joint", their mean, or "hinge",
            [1 - F(x, y) + F(x', y)]_+ summed over the distractors x' of each text.

    Returns:
        (), mean over the pairs.
    """
    of_texts = scores.T  # texts by pictures
    if loss == "hinge":
        hinge = relu(1 - of_texts.gather(1, truth[:, None]) + of_texts)
        return hinge.scatter(1, truth[:, None], 0).sum(1).mean()
    image_given_text, text_given_image = cross_entropy(of_texts, truth), cross_entropy(scores, truth.argsort())
    if loss == "joint":
        return (image_given_text + text_given_image) / 2
    return image_given_text if loss == "image_given_text" else text_given_image


class PmiRetrievalPreTrainedModel(PreTrainedModel):
    """Weights and loading of PMI retrieval."""

    config_class = PmiRetrievalConfig
    base_model_prefix = "pmi_retrieval"
    main_input_name = "pixel_values"
    input_modalities = ["image", "text"]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, PmiRetrievalModel):
            for name, buffer in module.named_buffers(recurse=False):
                if name != "centers":
                    init.zeros_(buffer)  # type: ignore[arg-type]
            if module.config.picture_features == "rgb_bins":
                init.copy_(module.centers, module.first_centers())  # type: ignore[arg-type]
            if module.logit_scale is not None:
                init.zeros_(module.logit_scale)


class PmiRetrievalModel(PmiRetrievalPreTrainedModel):
    """Features of pictures and texts, what was counted of them, and theta."""

    centers: Tensor
    pair_counts: Tensor
    picture_counts: Tensor
    word_counts: Tensor
    num_pairs: Tensor
    word_vectors: Tensor

    def __init__(self, config: PmiRetrievalConfig) -> None:
        super().__init__(config)
        heads = {"labels": AutoModelForImageClassification, "objects": AutoModelForObjectDetection, "codes": AutoModel}
        n, m = config.num_picture_features, config.num_text_features
        self.vision_model = (
            heads[config.picture_features].from_config(config.vision_config) if config.vision_config else None
        )
        if config.picture_features == "rgb_bins":
            self.register_buffer("centers", torch.zeros(config.num_bins, 3))
        if config.text_features == "word_vectors":
            self.register_buffer("word_vectors", torch.zeros(config.vocab_size, config.word_size))
        else:
            for name, shape in {"pair_counts": (n, m), "picture_counts": (n,), "word_counts": (m,)}.items():
                self.register_buffer(name, torch.zeros(shape))
            self.register_buffer("num_pairs", torch.zeros(()))
        self.theta = nn.Linear(n, m, bias=False)
        self.logit_scale = nn.Parameter(torch.zeros(())) if config.learn_temperature else None
        self.post_init()

    def first_centers(self) -> Tensor:
        """Centers before there were any pixels: the grid, or that of the next cube cut to the number. -> (K, 3)."""
        count = self.config.num_bins
        side = next(side for side in range(1, count + 1) if side**3 >= count)
        return color_grid(side)[:count]

    # Features

    def picture_features(self, pixel_values: Tensor) -> Tensor:
        """Psi. (B, 3, H, W) -> (B, n), none below zero but of codes."""
        kind = self.config.picture_features
        if kind == "rgb_bins":
            return bin_counts(pixel_values, self.centers) / pixel_values[0, 0].numel()
        if kind == "codes":
            output = self.vision_model(pixel_values)  # type: ignore[misc]
            return output.feature_maps[-1].mean((2, 3)) if "feature_maps" in output else output.pooler_output.flatten(1)
        with torch.no_grad():  # neither is a function that can be followed down
            output = self.vision_model(pixel_values)  # type: ignore[misc]
            if kind == "labels":
                return one_hot(output.logits.argmax(-1), self.config.num_picture_features).to(pixel_values.dtype)
            scores = output.scores if "scores" in output else output.logits.softmax(-1)[..., :-1]  # B Q n
            return (scores.amax(1) > self.config.threshold).to(pixel_values.dtype)

    def text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Omega. (B, T) -> (B, m); special words do not count."""
        dtype = self.theta.weight.dtype
        if self.config.text_features == "word_vectors":
            return self.word_vectors[input_ids].sum(1)
        words = torch.zeros(len(input_ids), self.config.vocab_size, dtype=dtype, device=input_ids.device)
        seen = input_ids >= len(SPECIAL_WORDS)
        return words.scatter_add(1, input_ids, seen.to(dtype))

    # Counting

    def learn_bins(self, pixel_values: Tensor, seed: int = 0) -> None:
        """Take the centers of the bins from pictures, (B, 3, H, W), where there are bins and they are not a grid."""
        if self.config.picture_features == "rgb_bins" and self.config.bins == "kmeans":
            pixels = pixel_values.transpose(0, 1).flatten(1).T  # B*P 3
            self.centers.copy_(color_means(pixels, self.config.num_bins, seed))

    def set_words(self, vectors: Tensor) -> None:
        """Take the vectors of the words, (vocab_size, word_size), of a model of word vectors."""
        self.word_vectors.copy_(vectors)

    @torch.no_grad()
    def count(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> None:
        """Add pairs of a picture and its text to the counts; `settle` makes theta of them.

        Args:
            pixel_values: (B, 3, H, W).
            input_ids: (B, T), row by row of these pictures.
            attention_mask: (B, T).

        Raises:
            ValueError: Texts are vectors, which cannot be counted.
        """
        if self.config.text_features == "word_vectors":
            raise ValueError("word vectors cannot be counted: learn theta, or take text_features: bag_of_words")
        seen, said = self.picture_features(pixel_values), self.text_features(input_ids)  # B n, B m
        if self.config.count == "documents":
            seen, said = (seen > self.config.threshold).to(said), (said > 0).to(said)
        self.pair_counts += seen.T @ said
        self.picture_counts += seen.sum(0)
        self.word_counts += said.sum(0)
        self.num_pairs += len(said)

    @torch.no_grad()
    def settle(self, measure: str | None = None) -> None:
        """Make theta of the counts, by the configuration's measure or another one, which is then its."""
        self.config.measure = measure or self.config.measure
        counts = self.pair_counts, self.picture_counts, self.word_counts, self.num_pairs
        self.theta.weight.copy_(association(*counts, self.config.measure).T)

    # Comparing

    @can_return_tuple
    def get_image_features(self, pixel_values: Tensor) -> BaseModelOutputWithPooling:
        """Embed pictures: `pooler_output` (B, m) is theta^T a, what words each picture calls for."""
        embeds = self.theta(self.picture_features(pixel_values).to(self.theta.weight.dtype))
        return BaseModelOutputWithPooling(pooler_output=embeds)

    @can_return_tuple
    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutputWithPooling:
        """Embed texts: `pooler_output` (B, m) is b."""
        return BaseModelOutputWithPooling(pooler_output=self.text_features(input_ids, attention_mask))  # type: ignore[arg-type]

    def score(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """F = sum_ij a_i theta_ij b_j. (I, m), (N, m) -> (I, N)."""
        scores = image_embeds @ text_embeds.T
        return scores if self.logit_scale is None else scores * self.logit_scale.exp()

    def pair_loss(self, image_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """The loss of pictures and texts of which each is a distractor of the others. (B, m), (B, m) -> ()."""
        truth = torch.arange(len(image_embeds), device=image_embeds.device)
        return discriminative_loss(self.score(image_embeds, text_embeds), truth, self.config.loss)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_loss: bool | None = None,
    ) -> PairOutput:
        """Compare every picture with every text; with one of them alone, embed it.

        Args:
            input_ids: (N, T).
            pixel_values: (I, 3, H, W).
            attention_mask: (N, T).
            return_loss: Also return the loss, row i of the pictures belonging to row i of the texts.
        """
        image_embeds = text_embeds = None
        if pixel_values is not None:
            image_embeds = self.get_image_features(pixel_values).pooler_output
        if input_ids is not None:
            text_embeds = self.get_text_features(input_ids, attention_mask).pooler_output
        if image_embeds is None or text_embeds is None:
            return PairOutput(image_embeds=image_embeds, text_embeds=text_embeds)
        return compare(self, image_embeds, text_embeds, return_loss)
