"""Image-sentence ranking processor."""

from hfmm.nn.pair_processing import PairProcessor


class LayerNormRankingProcessor(PairProcessor):
    """Pictures to `pixel_values`, sentences to words. The paper keeps all words of its captions."""
