"""The diffusers pipeline of a generator that draws pictures out of noise alone."""

from typing import Any

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from transformers import PreTrainedModel


class PicturePipeline(DiffusionPipeline):
    """Pictures of a model that has `generate_images(num_images, generator=...)`.

    Args:
        model: The generator.
    """

    model: Any

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.register_modules(model=model)

    @torch.no_grad()
    def __call__(
        self,
        num_images: int = 1,
        generator: torch.Generator | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        **options: Any,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Draw pictures.

        Args:
            num_images: How many.
            generator: Of the noise.
            output_type: "pil", "np" ((B, H, W, C) in [0, 1]) or "pt" ((B, C, H, W) in [0, 1]).
            return_dict: An output object; a tuple otherwise.
            options: Of the model's `generate_images`.
        """
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f"output_type is {output_type!r}: it must be 'pil', 'np' or 'pt'")
        images: Any = self.model.generate_images(num_images, generator=generator, **options)
        if output_type != "pt":
            images = images.cpu().permute(0, 2, 3, 1).float().numpy()  # B H W C
        if output_type == "pil":
            images = self.numpy_to_pil(images)
        return ImagePipelineOutput(images=images) if return_dict else (images,)
