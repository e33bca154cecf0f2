"""README of a pushed run: its model card below the metadata by which the Hub finds models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.files.atomic import read_json
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.result import read_result
from jlrun.runs.exporting.model_card import model_card
from jlrun.runs.saved_run import load_config, to_yaml

# Kinds of the only modality and of a task -> pipeline of the Hub.
_CLASSES = ("multiclass", "binary", "multilabel", "ordinal")
_PIPELINES = {
    **{("image", kind): "image-classification" for kind in _CLASSES},
    **{("text", kind): "text-classification" for kind in _CLASSES},
    **{("audio", kind): "audio-classification" for kind in _CLASSES},
    **{("tabular", kind): "tabular-classification" for kind in _CLASSES},
    ("tabular", "regression"): "tabular-regression",
    ("image", "segmentation"): "image-segmentation",
    ("image", "depth"): "depth-estimation",
}
_ABOUT = (
    "Weights, configuration and scores of one run of jlrun. Its rows, and what shows or names "
    "them, were not uploaded, nor were its baselines."
)


def card(directory: Path, repo: str) -> str:
    """Return Markdown with metadata as YAML on top.

    Args:
        directory: of the run.
        repo: ``owner/name``.

    Raises:
        UserError: if a file of the run is damaged.
    """
    use = f"""```
pip install 'jlrun[hub]'
jlrun pull {repo} --output run
jlrun predict run --input FILE --output predictions.csv
```"""
    text = model_card(directory, [_ABOUT], [use])
    return f"---\n{to_yaml(metadata(directory, repo))}---\n\n{text}"


def metadata(directory: Path, repo: str) -> dict[str, Any]:
    """Return the metadata of the card: library, tags, pipeline and test scores."""
    result = read_result(directory) or {}
    model = read_json(RunDirectory(directory).model)
    pipelines = _pipelines(model)
    found: dict[str, Any] = {
        "library_name": "jlrun",
        "tags": ["jlrun", str(result.get("mode")), *sorted(model["modalities"])],
    }
    # One of several tasks would stand for all.
    if len(set(pipelines.values())) == 1:
        found["pipeline_tag"] = next(iter(pipelines.values()))
    scores = _scores(directory, result, pipelines)
    if scores:
        found["model-index"] = [{"name": repo.partition("/")[2], "results": scores}]
    return found


def _pipelines(model: Mapping[str, Any]) -> dict[str, str]:
    """Return task -> pipeline, of the tasks that are scored and have one."""
    kinds = {str(spec["kind"]) for spec in model["modalities"].values()}
    kind = kinds.pop() if len(kinds) == 1 else ""
    heads = [model["heads"][head] for head in model["scored"]]
    tasks = {h["task"]: h["kind"]["_target_"].rpartition(".")[2].lower() for h in heads}
    return {task: _PIPELINES.get((kind, of_task), "other") for task, of_task in tasks.items()}


def _scores(
    directory: Path, result: Mapping[str, Any], pipelines: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return an entry of the metadata for each task: its main score on the test rows."""
    name = _dataset(load_config(directory)[0])
    test, primary = result.get("test") or {}, result.get("primary") or {}
    return [
        {
            "task": {"type": pipelines.get(task, "other"), "name": task},
            "dataset": {"type": name, "name": name, "split": "test"},
            "metrics": [{"type": metric, "name": f"{task} {metric}", "value": test[task][metric]}],
        }
        for task, metric in primary.items()
        if (test.get(task) or {}).get(metric) is not None
    ]


def _dataset(config: Mapping[str, Any]) -> str:
    """Return a name for the data that was scored: of its file, or of the function that made it."""
    nodes = [config.get(key) for key in ("target", "dataset")]
    node: Mapping[str, Any] = next((n for n in nodes if isinstance(n, Mapping)), {})
    path = node.get("path") or node.get("root")
    target = str(node.get("_target_", "several")).rpartition(".")[2].removeprefix("load_")
    return Path(str(path)).stem if path else target
