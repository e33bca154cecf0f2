"""Run directories written by hand: what reports and lists read, without training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

EVIL = "<script>alert('x')</script>"


def write_run(
    folder: Path,
    score: float = 0.9,
    overrides: Sequence[str] = ("mode=multitask", "dataset=digits"),
    config: Mapping[str, Any] | None = None,
    task: str = "digit",
    **result: Any,
) -> Path:
    """Write a completed run with one task, two epochs of curves, and a baseline that it beats."""
    folder.mkdir(parents=True)
    base = {
        "mode": "multitask",
        "seed": 0,
        "weighting": {"_target_": "jlrun.objective.weightings.Equal"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.001},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({**base, **(config or {})}))
    (folder / "overrides.yaml").write_text(yaml.safe_dump(list(overrides)))
    content = {**completed(score, task), "overrides": list(overrides), **result}
    (folder / "result.json").write_text(json.dumps(content))
    rows = [
        f"{fit},train,{epoch},{10 * epoch},{tag},{value}"
        for fit in ("main", f"single_task/{task}")
        for epoch, value in ((1, 0.5), (2, score))
        for tag in (f"train/{task}/loss", f"val/{task}/accuracy")
    ]
    (folder / "metrics.csv").write_text("\n".join(["fit,phase,epoch,step,tag,value", *rows, ""]))
    return folder


def completed(score: float, task: str) -> dict[str, Any]:
    """Return the content of a ``result.json``."""
    return {
        "schema": 1,
        "status": "completed",
        "error": None,
        "mode": "multitask",
        "seed": 0,
        "test": {task: {"accuracy": score}},
        "val": {task: {"accuracy": score}},
        "objective": {"name": "val/mean_score", "value": score, "direction": "maximize"},
        "selected": {"phase": "train", "epoch": 2, "step": 20, "by": "val/mean_score"},
        "primary": {task: "accuracy"},
        "baselines": {"single_task": {task: {"accuracy": 0.8}}},
        "gain": {
            "against": "single_task",
            "delta_m_percent": 100 * (score / 0.8 - 1),
            "per_task": {task: 100 * (score / 0.8 - 1)},
            "interval": {task: [1.0, 20.0]},
            "kind": {task: "won"},
            "negative_transfer": [],
        },
        "intervals": {
            "level": 0.95,
            "test": {task: {"accuracy": [score - 0.02, score + 0.02]}},
            "baselines": {},
        },
        "per_class": {task: {"0": {"precision": 1.0, "recall": 0.5, "f1": 0.7, "rows": 9}}},
        "model": {"parameters": 1234, "trainable": 1234},
        "cost": {"train_seconds": 1.5, "samples_per_second": 10.0, "steps": 20},
    }


def write_sweep(folder: Path, scores: Mapping[str, Sequence[float]]) -> Path:
    """Write a sweep over weightings: option -> a score for each seed."""
    folder.mkdir(parents=True)
    texts = [f"weighting={','.join(scores)}", "mode=multitask", "seed=0,1"]
    content = {"hydra": {"overrides": {"task": texts}}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump(content))
    jobs = [(name, seed, s) for name, each in scores.items() for seed, s in enumerate(each)]
    for number, (name, seed, score) in enumerate(jobs):
        overrides = ("mode=multitask", f"weighting={name}", f"seed={seed}")
        write_run(folder / str(number), score, overrides, seed=seed)
    return folder


def write_study(folder: Path, sentences: Sequence[str] = ("Both tasks gain.",)) -> Path:
    """Write a study of two tasks with one run."""
    arm = {"arm": "joint/equal", "against": "alone/a", "question": "joint", "task": "a"}
    found = {
        "score": 0.9,
        "score_against": 0.8,
        "difference": 0.1,
        "percent": 12.5,
        "standard_error": 0.01,
        "interval": [0.08, 0.12],
        "p_value": 0.001,
        "seeds": 2,
        "call": "better",
        "what": EVIL,
    }
    content = {
        "schema": 1,
        "finished": True,
        "overrides": ["dataset=digits", "study.budget=2runs"],
        "settings": {"budget": "2runs"},
        "tasks": ["a", EVIL],
        "modalities": ["image"],
        "cells": {"joint/equal/seed0": {"status": "completed", "seconds": 2.0, "steps": 9}},
        "not_reached": ["few/a"],
        "refused": {"joint/x": "not possible"},
        "sentences": list(sentences),
        "comparisons": [{**arm, **found}],
        "seconds": {"joint/equal": 2.0},
    }
    write_run(folder / "runs" / "joint" / "equal" / "seed0", 0.9)
    (folder / "study.json").write_text(json.dumps(content))
    return folder
