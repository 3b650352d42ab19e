"""The card of a published model, and its scores in the two forms that the Hub reads."""

import re
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, eval_result_entries_to_yaml

from hfmm.catalogue import PIPELINE, Row
from hfmm.hub import cards

CONVERSES = "image-text-to-text"  # the task
USE = re.compile(r"^## Use\n.*?(?=^## )", re.DOTALL | re.MULTILINE)
THEN = {  # Auto class -> what one does with the model
    "AutoModelForImageTextToText": (
        'ids = model.generate(**processor(images=Image.open("picture.jpg")))\n'
        "print(processor.post_process_image_text_to_text(ids)[0])\n"
    ),
    "AutoModelForImageClassification": (
        'logits = model(**processor(Image.open("picture.jpg"), return_tensors="pt")).logits\n'
        "print(model.config.id2label[logits.argmax().item()])\n"
    ),
    "AutoModelForObjectDetection": (
        'picture = Image.open("picture.jpg")\n'
        'outputs = model(**processor(picture, return_tensors="pt"))\n'
        "print(processor.post_process_object_detection(outputs, target_sizes=[picture.size[::-1]]))\n"
    ),
    "AutoModelForSemanticSegmentation": (
        'picture = Image.open("picture.jpg")\n'
        'outputs = model(**processor(picture, return_tensors="pt"))\n'
        "print(processor.post_process_semantic_segmentation(outputs, target_sizes=[picture.size[::-1]]))\n"
    ),
    "AutoModelForImageToImage": (
        'picture = Image.open("picture.jpg")\n'
        'outputs = model(**processor(picture, return_tensors="pt"))\n'
        'processor.post_process_image_to_image(outputs, [picture])[0].save("made.png")\n'
    ),
}

CONVERSE = """picture = {"type": "image", "image": Image.open("picture.jpg")}
said = [{"role": "user", "content": [picture, {"type": "text", "text": "What is in the picture?"}]}]
settings = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
inputs = processor.apply_chat_template(said, **settings)
ids = model.generate(**inputs, max_new_tokens=64)
print(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
"""
CALLED = {  # task -> how a diffusers pipeline is called
    "unconditional-image-generation": "8",
    "text-to-image": '"a small red star"',
}


def hub_card(row: Row, rows: list[dict[str, Any]], repo_id: str, reader: str | None, own_code: bool) -> str:
    """The architecture's documentation with these measurements, as the `README.md` of a repository.

    Args:
        row: The architecture.
        rows: Of `results.json`; none says that nothing was measured.
        repo_id: Where it is published.
        reader: The Auto class of its processor, if it has one.
        own_code: Whether the repository brings classes that transformers does not have.
    """
    text = cards.with_results(cards.text_of(row), rows)
    card = ModelCard(USE.sub(lambda _: use(row, repo_id, reader, own_code), text), ignore_metadata_errors=False)
    if rows:
        data: Any = card.data  # ModelCardData, which says less to a type checker
        data.model_name = repo_id.partition("/")[2] or repo_id
        data.eval_results = [
            _result(entry, metric, value, card.data.get("pipeline_tag") or row.tasks[0])
            for entry in rows
            for metric, value in entry["metrics"].items()
        ]
    return f"{str(card).rstrip()}\n"


def use(row: Row, repo_id: str, reader: str | None, own_code: bool) -> str:
    """The section that shows how to load it."""
    if row.pipeline:
        return (
            f"## Use\n\n```python\nfrom diffusers import DiffusionPipeline\n\n"
            f'pipeline = DiffusionPipeline.from_pretrained("{repo_id}", trust_remote_code=True)\n'
            "images = pipeline(8).images\n```\n\nIt needs torch, transformers and diffusers; the model alone loads "
            "with `AutoModel`, without diffusers.\n\n"
        )
    auto = row.auto[0][0]
    if auto == PIPELINE:
        return (
            "## Use\n\n```python\nfrom diffusers import DiffusionPipeline\n\n"
            f'pipeline = DiffusionPipeline.from_pretrained("{repo_id}")\n'
            f"images = pipeline({CALLED[row.tasks[0]]}).images\n```\n\n"
            "It needs torch, transformers and diffusers, whose own classes all its parts are.\n\n"
        )
    then = CONVERSE if row.tasks[0] == CONVERSES else THEN.get(auto, "")
    then = then if reader else ""
    place = f'"{repo_id}", trust_remote_code=True' if own_code else f'"{repo_id}"'
    lines = ["from PIL import Image"] if then else []
    lines += [f"from transformers import {', '.join(sorted({auto, *([reader] if reader else [])}))}", ""]
    lines += [f"model = {auto}.from_pretrained({place})"]
    lines += [f"processor = {reader}.from_pretrained({place})"] if reader else []
    trusted = " After `import hfmm` it loads without `trust_remote_code`." if own_code else ""
    return "## Use\n\n```python\n" + "\n".join(lines) + f"\n{then}```\n\nIt needs torch and transformers.{trusted}\n\n"


def _result(entry: dict[str, Any], metric: str, value: float, task: str) -> EvalResult:
    return EvalResult(
        task_type=task,
        dataset_type=entry["data"],
        dataset_name=entry["data"],
        dataset_split=entry["split"],
        metric_type=metric,
        metric_name=f"{metric} ({entry['how']})",
        metric_value=value,
    )


def evaluation_files(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The scores as files of `.eval_results`, one a data set: path to text."""
    entries: dict[str, list[EvalResultEntry]] = {}
    for row in rows:
        how = f"{row['how']}, {row['examples']} examples, seed {row['seed']}, {row['steps']} steps"
        entries.setdefault(re.sub(r"[^\w-]+", "_", row["data"]), []).extend(
            EvalResultEntry(row["data"], f"{row['split']}_{metric}", value, date=row["date"], notes=how)
            for metric, value in row["metrics"].items()
        )
    return {
        f".eval_results/{name}.yaml": yaml.safe_dump(eval_result_entries_to_yaml(found), sort_keys=False)
        for name, found in entries.items()
    }
