"""Presets of super-resolution.

`paper` is SRCNN 9-1-5, `srcnn_9_5_5` the larger one of its journal version, `espcn` the sub-pixel net, all for a
threefold enlargement; `tiny` is ESPCN for a twofold one of pictures that were 48 pixels or more.
"""

_ESPCN = {"network": "espcn", "kernel_sizes": [5, 3, 3], "initializer_range": None}
PRESETS: dict[str, dict[str, dict]] = {
    "tiny": {
        "config": {**_ESPCN, "scale": 2, "hidden_sizes": [32, 16]},
        "processor": {"image_size": 48, "scale": 2},
    },
    "paper": {
        "config": {},
        "processor": {"image_size": 33, "scale": 3},
    },
    "srcnn_9_5_5": {
        "config": {"kernel_sizes": [9, 5, 5]},
        "processor": {"image_size": 33, "scale": 3},
    },
    "espcn": {
        "config": dict(_ESPCN),
        "processor": {"image_size": 51, "scale": 3},
    },
}
