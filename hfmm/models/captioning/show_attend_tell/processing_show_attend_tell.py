"""The processor of Show, Attend and Tell."""

from hfmm.nn.caption_processing import CaptioningProcessor


class ShowAttendTellProcessor(CaptioningProcessor):
    """Pictures and captions for [`ShowAttendTellForConditionalGeneration`]; see [`CaptioningProcessor`]."""
