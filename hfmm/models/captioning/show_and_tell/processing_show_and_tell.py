"""Show and Tell processor."""

from hfmm.nn.caption_processing import CaptioningProcessor


class ShowAndTellProcessor(CaptioningProcessor):
    """Pictures to `pixel_values`, captions to `labels`. The paper keeps words that occur five times or more."""
