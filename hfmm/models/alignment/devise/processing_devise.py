"""The DeViSE processor."""

from hfmm.nn.pair_processing import PairProcessor


class DeviseProcessor(PairProcessor):
    """Pictures to `pixel_values`, labels and sentences to `input_ids` of words that have vectors."""
