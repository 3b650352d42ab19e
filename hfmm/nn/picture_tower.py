"""The picture half of the models that embed pictures and sentences together: a backbone, and a vector from its map.

Axes: B pictures, N crops of each, C channels, H height, W width, F features.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class PictureTower(nn.Module):
    """The last map of a backbone, its mean or all of its places, and fully connected layers with rectifiers after it.

    With all places, a max-pool by 2 and two layers of 4,096 this is fc7 of VGG; with the mean and no layers, the pooled
    features of GoogLeNet and ResNet.
    """

    def __init__(
        self, backbone: nn.Module, map_size: int, pooling: str, window: int = 1, layers: Sequence[int] = ()
    ) -> None:
        """Take a backbone.

        Args:
            backbone: Whose output has `feature_maps`.
            map_size: Values that its last map has after pooling: channels, or channels x height x width.
            pooling: "mean" over places, or "flatten", which keeps them apart.
            window: Side of the windows of a max-pool before that; 1 for none.
            layers: Widths of the fully connected layers.
        """
        super().__init__()
        self.backbone = backbone
        self.map_size, self.pooling, self.window = map_size, pooling, window
        self.layers = nn.ModuleList(
            nn.Linear(before, after) for before, after in zip([map_size, *layers], layers, strict=False)
        )
        self.feature_size = layers[-1] if layers else map_size

    def forward(self, pixel_values: Tensor | None = None, image_features: Tensor | None = None) -> Tensor:
        """Embed pictures.

        Args:
            pixel_values: (B, 3, H, W), or (B, N, 3, H, W) for the mean over crops.
            image_features: (B, F), what it gave before, in the place of the pixels.

        Returns:
            (B, F).

        Raises:
            ValueError: There is no picture, or its map is not of `map_size`.
        """
        if image_features is not None:
            return image_features
        if pixel_values is None:
            raise ValueError("pixel_values and image_features are missing: give the pictures or their features")
        if pixel_values.ndim == 5:
            of_crops = self(pixel_values.flatten(0, 1)).unflatten(0, pixel_values.shape[:2])  # B N F
            return of_crops.mean(1)
        feature_map = self.backbone(pixel_values).feature_maps[-1]
        if self.window > 1:
            feature_map = max_pool2d(feature_map, self.window)
        features = feature_map.mean((2, 3)) if self.pooling == "mean" else feature_map.flatten(1)  # B F
        if features.shape[1] != self.map_size:
            height, width = pixel_values.shape[-2:]
            raise ValueError(
                f"pictures of {height} x {width} pixels give {features.shape[1]} features but image_map_size is "
                f"{self.map_size}"
            )
        for layer in self.layers:
            features = relu(layer(features))
        return features
