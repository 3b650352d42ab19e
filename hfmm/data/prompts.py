"""What a class is called in a sentence: templates by data set (Radford et al. 2021, section 3.1.4 and figure 21), and
names of classes as people write them.
"""

from collections.abc import Sequence
from pathlib import Path

from hfmm.data.scenes.grammar import PLACE_PHRASES

PHOTO = ("a photo of a {}.",)
TEMPLATES = {  # by name of the data set
    "food101": ("a photo of {}, a type of food.",),
    "sun397": PHOTO,
    "youtube_bb": PHOTO,
    "eurosat": ("a centered satellite photo of {}.",),
    "pcam": ("this is a photo of {}",),
    "imagenet": PHOTO,
    "imagenet_a": PHOTO,
    "resisc45": ("satellite imagery of {}.",),
    "flowers102": ("a photo of a {}, a type of flower.",),
    "stanford_cars": PHOTO,
    "rsicd": ("this is a {} .", "a {} is near some buildings and green trees .", "satellite imagery of {} ."),
    "scenes": tuple(f"a {{}} {phrases[0]}" for phrases in PLACE_PHRASES.values()),
    "digits": ("{}",),
}
WRITTEN = {  # names of classes that are no words
    "bareland": "bare land",
    "baseballfield": "baseball field",
    "denseresidential": "dense residential area",
    "mediumresidential": "medium residential area",
    "railwaystation": "railway station",
    "sparseresidential": "sparse residential area",
    "storagetanks": "storage tank",
}


def templates_of(data: str) -> tuple[str, ...]:
    """The templates of a data set by what a person typed to get it; "a photo of a {}." for one without its own."""
    return TEMPLATES.get(Path(data).name.partition(":")[0], PHOTO)


def written(labels: Sequence[str]) -> list[str]:
    """Names of classes as they stand in a sentence: words apart."""
    return [WRITTEN.get(label, label.replace("_", " ")) for label in labels]
