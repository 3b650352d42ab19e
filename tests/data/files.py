"""Small data sets on disk, for tests."""

import json
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
from PIL import Image


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8))


def write_pictures(folder: Path, count: int, suffix: str = "png") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}.{suffix}" for number in range(count)]
    for number, name in enumerate(names):
        picture(number).save(folder / name)
    return names


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, count: int = 4, first: int = 0, **more: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features(
        {"image": datasets.Image(), "captions": datasets.List(datasets.Value("string"))}
        | {name: datasets.ClassLabel(names=["cat", "dog"]) for name in more}
    )
    rows = {
        "image": [picture(first + row) for row in range(count)],
        "captions": [[f"caption {first + row}", "another"] for row in range(count)],
    }
    datasets.Dataset.from_dict(rows | more, features=features).to_parquet(path)
    return path


def write_open_questions(
    folder: Path,
    categories: tuple[str, ...] = ("conv",),
    names: tuple[str, str, str] = ("qa_questions", "qa_gpt4_answer", "caps_boxes"),
) -> Path:
    """Questions 1, 2, ... about the pictures 1.jpg, 2.jpg, ... as LLaVA-Bench keeps them, without the pictures."""
    numbers = range(1, len(categories) + 1)
    questions = [
        {"question_id": number, "image": f"{number}.jpg", "text": "What is it?", "category": category}
        for number, category in zip(numbers, categories, strict=True)
    ]
    answers = [{"question_id": number, "text": "A cat."} for number in numbers]
    boxes = [{"category": "cat", "bbox": [0, 0, 1, 0.5]}]
    contexts = [{"image": f"{number}.jpg", "captions": ["a cat", "it sits"], "instances": boxes} for number in numbers]
    for name, rows in zip(names, (questions, answers, contexts), strict=True):
        write_lines(folder / f"{name}.jsonl", rows)
    rules = {category: {"role": "Assistant", "prompt": "Give two scores."} for category in categories}
    (folder / "rule.json").write_text(json.dumps(rules))
    return folder


def captions_of(examples) -> list[str]:
    return [example["captions"][0] for example in examples]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def natural(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth random colors."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
