"""Speed of the built-in scenes: pictures with captions, every field, each view, clips, and against drawing naively.

    OMP_NUM_THREADS=1 python scripts/benchmarks/scenes.py [--repeats 5] [--json FILE]

The peers draw the same scenes with the same outlines and captions on plain backgrounds, each picture at four or eight
times its size and then shrunk; hfmm's cached sprites have the smoothness of eight. All take turns in one process on one
thread, timed in CPU seconds of the process, after a warm-up that fills hfmm's caches (a training run's first second).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hfmm.data.scenes import Motion, Scenes, Sound, Spoken, grammar, motion, render, world
from hfmm.data.scenes.grammar import SHAPES
from hfmm.data.scenes.still import FIELDS, Still
from hfmm.device import hardware

EXAMPLES = 2000  # a turn
FINENESS = (4, 8)  # of the peers' canvases
PICTURE_SIZE = 64


def draw_naively(scene: world.Scene, fineness: int) -> Image.Image:
    """The scene on a canvas that is larger than the picture, shrunk."""
    size = PICTURE_SIZE * fineness
    color = render.BACKGROUND_COLORS[scene.background[0]]
    image = Image.new("RGB", (size, size), color)
    canvas = ImageDraw.Draw(image)
    scale = size / world.UNITS
    for body in sorted(scene.bodies, key=lambda body: body.diameter):
        center, radius = (body.x * scale, body.y * scale), body.diameter * scale / 2
        render.draw_silhouette(canvas, SHAPES[body.shape], center, radius, body.angle, body.rgb)
        if SHAPES[body.shape] == "ring":
            render.draw_silhouette(canvas, "circle", center, render.RING_HOLE * radius, 0, color)
    return image.reduce(fineness)


def naive_example(scenes: Scenes, row: int, fineness: int) -> tuple[Image.Image, list[str]]:
    """Picture and captions of a row, drawn naively."""
    key = world.key_of(scenes.seed, scenes.split, row)
    scene = scenes.scene(row)
    still = Still(scene, key, PICTURE_SIZE, overlap=False)
    return draw_naively(scene, fineness), grammar.captions(still.objects, world.stream(key, "words"))


def mean_difference(fineness: int, rows: int = 200) -> float:
    """How far hfmm's pictures and a peer's are apart, in levels of 255, on plain backgrounds."""
    scenes = Scenes(fields=("image",))
    plain = [row for row in range(rows) if scenes.scene(row).background[1] == 0]
    pictures = [(scenes[row]["image"], draw_naively(scenes.scene(row), fineness)) for row in plain]
    return float(np.mean([np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() for a, b in pictures]))


def measure(makers: dict[str, Callable[[int], object]], repeats: int) -> dict[str, list[float]]:
    """Examples a CPU second of each, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in makers}
    for make in makers.values():
        for row in range(EXAMPLES):
            make(row)
    for turn in range(repeats):
        for name, make in makers.items():
            started = time.process_time()
            for row in range(turn * EXAMPLES, (turn + 1) * EXAMPLES):
                make(row)
            rates[name].append(EXAMPLES / (time.process_time() - started))
    return rates


def main() -> None:
    """Race them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    captioned = Scenes(fields=("image", "captions"))
    makers: dict[str, Callable[[int], object]] = {
        "pictures and captions": captioned.__getitem__,
        "pictures and captions, one or two objects": Scenes(fields=captioned.features, objects=(1, 1)).__getitem__,
        "every field": Scenes(fields=tuple(FIELDS)).__getitem__,
        **{view: Scenes(view=view).__getitem__ for view in ("vqa", "detection", "segmentation", "classification")},
        "clips of 8 frames": Motion().__getitem__,
        "clips of 16 frames": Motion(frames=16).__getitem__,
        "clips of 16 frames, every field": Motion(frames=16, fields=tuple(motion.FIELDS)).__getitem__,
        "sounds": Sound().__getitem__,
        "spoken clips of 16 frames": Spoken().__getitem__,
        "spoken clips of 16 frames in noise": Spoken(noise=1).__getitem__,
        **{f"naive, {fineness} x": partial(naive_example, captioned, fineness=fineness) for fineness in FINENESS},
    }
    rates = measure(makers, arguments.repeats)
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {fineness: median["pictures and captions"] / median[f"naive, {fineness} x"] for fineness in FINENESS}
    differences = {fineness: mean_difference(fineness) for fineness in FINENESS}
    print(f"{hardware()}; {PICTURE_SIZE} x {PICTURE_SIZE}; examples a CPU second, median of {arguments.repeats}")
    for name, value in median.items():
        print(f"{name:45} {value:8.0f}   ({min(rates[name]):.0f} to {max(rates[name]):.0f})")
    for fineness, ratio in ratios.items():
        levels = differences[fineness]
        print(f"pictures and captions / naive, {fineness} x: {ratio:.1f}; mean difference {levels:.2f} levels of 255")
    if arguments.json:
        figures = {
            "hardware": hardware(),
            "examples_per_second": median,
            "turns": rates,
            "ratios": ratios,
            "mean_differences": differences,
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
