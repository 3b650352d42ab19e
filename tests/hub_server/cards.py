"""What the Hub says of the front matter of a README.md."""

from typing import Any

import yaml

COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "docker", "static", "streamlit")
LICENSES = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
    "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "openrail", "creativeml-openrail-m", "unknown", "other",
)  # fmt: skip


def front_matter(content: str) -> dict[str, Any] | None:
    """The YAML between the first two lines of dashes; None where there is none.

    Raises:
        ValueError: It is no YAML or no mapping.
    """
    lines = content.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in lines[1:]:
        return None
    try:
        found = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    except yaml.YAMLError as error:
        raise ValueError(f"YAML: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise ValueError("metadata must be a mapping")
    return found


def validate(kind: str, content: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about a README.md of a repository of this kind ("model", "dataset" or "space")."""
    try:
        data = front_matter(content)
    except ValueError as error:
        return [str(error)], []
    if not data:
        return [], ["empty or missing yaml metadata in repo card"]
    errors = _of_any(data) + (_of_space(data) if kind == "space" else [])
    return errors + (_of_results(data["model-index"]) if "model-index" in data else []), []


def _of_any(data: dict[str, Any]) -> list[str]:
    errors = []
    licenses = data.get("license", [])
    for name in licenses if isinstance(licenses, list) else [licenses]:
        if name not in LICENSES:
            errors.append(f'"license" must be one of [{", ".join(LICENSES)}]')
    for field in ("tags", "datasets", "metrics"):
        values = data.get(field, [])
        if not isinstance(values, list | str) or not all(isinstance(value, str) for value in values):
            errors.append(f'"{field}" must be an array of strings')
    for field in ("pipeline_tag", "library_name", "title"):
        if not isinstance(data.get(field, ""), str):
            errors.append(f'"{field}" must be a string')
    return errors


def _of_space(data: dict[str, Any]) -> list[str]:
    errors = [f'"{field}" is required' for field in ("sdk",) if field not in data]
    errors += [
        f'"{f}" must be one of [{", ".join(COLORS)}]'
        for f in ("colorFrom", "colorTo")
        if data.get(f, "red") not in COLORS
    ]
    if data.get("sdk", "static") not in SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(SDKS)}]')
    if len(str(data.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    return errors


def _of_results(models: Any) -> list[str]:
    """A model-index: models with results, each with a task, a data set and metrics that have values."""
    if not isinstance(models, list):
        return ['"model-index" must be an array']
    errors = []
    for m, model in enumerate(models):
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append(f'"model-index[{m}].name" is required')
            continue
        for r, result in enumerate(model.get("results") or []):
            where = f"model-index[{m}].results[{r}]"
            wanted = {"task": ("type",), "dataset": ("type", "name")}
            for part, fields in wanted.items():
                given = result.get(part) or {}
                errors += [f'"{where}.{part}.{field}" is required' for field in fields if not given.get(field)]
            metrics = result.get("metrics") or []
            errors += [] if metrics else [f'"{where}.metrics" is required']
            errors += [
                f'"{where}.metrics[{i}].{field}" is required'
                for i, metric in enumerate(metrics)
                for field in ("type", "value")
                if metric.get(field) is None
            ]
    return errors
