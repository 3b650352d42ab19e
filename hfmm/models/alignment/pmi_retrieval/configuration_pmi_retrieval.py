"""Configuration of PMI retrieval."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

NETWORKS = ("labels", "objects", "codes")  # features that a picture network gives


@strict
class PmiRetrievalConfig(PreTrainedConfig):
    """Configuration of [`PmiRetrievalModel`]; defaults are the deck's.

    Args:
        picture_features: psi: shares of the pixels in bins of colors ("rgb_bins"), the likeliest class of a picture
            ("labels"), the classes of objects in it ("objects"), or the activations before the last layer ("codes").
        num_bins: Of colors.
        bins: Centers by k-means over the training pixels ("kmeans"), or on a "grid", whose side is the cube root.
        vision_config: The classifier, detector or network of the other features.
        code_size: Width of "codes".
        threshold: A feature occurs in a picture where it is greater: a share of pixels, a score, an activation.
        text_features: omega: how often each word occurs ("bag_of_words"), or the sum of "word_vectors".
        vocab_size: Number of words, the four special ones included.
        word_size: Width of word vectors.
        count: In how many "documents" features and words occur (the deck's), or how often ("tokens").
        measure: What theta is made of counts by, see [`association`].
        loss: For theta that is learned: the cross-entropy of P(X|Y), which picture a text is of ("image_given_text"),
            of P(Y|X) ("text_given_image"), of both ("joint"), or their "hinge".
        learn_temperature: Scores are scaled by a learned number before the softmax, as CLIP's.
    """

    model_type = "hfmm_pmi_retrieval"
    sub_configs = {"vision_config": AutoConfig}

    picture_features: Literal["rgb_bins", "labels", "objects", "codes"] = "rgb_bins"
    num_bins: int = 27
    bins: Literal["kmeans", "grid"] = "kmeans"
    vision_config: dict | PreTrainedConfig | None = None
    code_size: int = 96
    threshold: float | int = 0.0
    text_features: Literal["bag_of_words", "word_vectors"] = "bag_of_words"
    vocab_size: int = 1000
    word_size: int = 64
    count: Literal["documents", "tokens"] = "documents"
    measure: Literal["cooccurrence", "pmi", "ppmi", "dice", "jaccard", "image_given_text", "text_given_image"] = (
        "cooccurrence"
    )
    loss: Literal["image_given_text", "text_given_image", "joint", "hinge"] = "joint"
    learn_temperature: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.vision_config, dict):
            self.vision_config = AutoConfig.for_model(**self.vision_config)
        super().__post_init__(**kwargs)

    @property
    def num_picture_features(self) -> int:
        """N."""
        if self.picture_features in ("labels", "objects"):
            return int(self.vision_config.num_labels)  # type: ignore[union-attr, arg-type]
        return self.num_bins if self.picture_features == "rgb_bins" else self.code_size

    @property
    def num_text_features(self) -> int:
        """M."""
        return self.vocab_size if self.text_features == "bag_of_words" else self.word_size

    def validate_architecture(self) -> None:
        """Raise ValueError where two fields disagree."""
        if (self.picture_features in NETWORKS) != (self.vision_config is not None):
            raise ValueError(
                f"picture_features is '{self.picture_features}', which "
                f"{'needs a vision_config' if self.vision_config is None else 'has no vision_config'}"
            )
        if self.bins == "grid" and round(self.num_bins ** (1 / 3)) ** 3 != self.num_bins:
            raise ValueError(f"num_bins is {self.num_bins}, which is no cube: a grid has 8, 27, 64, ...")
