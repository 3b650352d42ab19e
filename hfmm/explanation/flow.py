"""What lies around the code of a picture where codes and pictures are one to one."""

from math import log
from typing import Any

import torch
from PIL import Image

from hfmm.explanation.base import Explanation
from hfmm.explanation.drawing import panels, pictures_of
from hfmm.explanation.latents import between

SIDE = 96  # pixels of a panel
STEPS = 7  # of each row
HOTTEST = 1.2  # temperature


def explain_flow(model: Any, processor: Any, image: Image.Image) -> Explanation:
    """Show the way from a picture's code to that of its mirror image, and one draw at rising temperatures.

    Args:
        model: As [`Invertible`], with `generate_images(count, generator=..., temperature=...)`.
        processor: Its image processor.
        image: Any picture.

    Returns:
        A row of each. `data` has `bits_per_dim` of the picture, `spread`, the standard deviation of each part of its
        code (1 for what the model expects), and the `temperatures`.
    """
    temperatures = torch.linspace(0, HOTTEST, STEPS).tolist()
    with torch.inference_mode():
        pixel_values = processor([image], return_tensors="pt")["pixel_values"].to(model.device)
        nats = -float(model.log_likelihood(pixel_values, generator=torch.Generator().manual_seed(0)))
        code, mirrored = model.encode(pixel_values), model.encode(pixel_values.flip(3))
        way = model.decode(between(code, mirrored, STEPS))
        drawn = [
            model.generate_images(1, generator=torch.Generator().manual_seed(0), temperature=heat)
            for heat in temperatures
        ]
    bits = nats / pixel_values.numel() / log(2)
    said = ["as it sees it", *["between the codes"] * (STEPS - 2), "its mirror image"]
    said += [f"temperature {heat:.1f}" for heat in temperatures]
    sheet = panels(pictures_of(torch.cat([way, *drawn])), said, columns=STEPS, side=SIDE)
    data = {"bits_per_dim": bits, "spread": [float(part.std()) for part in code], "temperatures": temperatures}
    return Explanation(f"{bits:.2f} bits per dimension", sheet, data)
