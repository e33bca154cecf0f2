"""Weightings of jlrun next to those of TorchJD: the same data, model, budget and selection."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.tables.declarations.weightings import DATA
from benchmarks.tables.declared import (
    QUIET,
    Cell,
    Job,
    Outside,
    Result,
    Source,
    Table,
    mean_of,
    of_model,
    only,
)
from jlrun.data.datasets.multimnist import load_multidigits
from jlrun.data.rows import TensorRows

TASKS = ("left", "right")
LR, EPOCHS, BATCH, WARMUP = 3e-3, 12, 64, 0.05
# weighting of jlrun -> aggregator of TorchJD; None: the plain sum
METHODS = {
    "equal": None,
    "mgda": "MGDA",
    "pcgrad": "PCGrad",
    "imtl_g": "IMTLG",
    "aligned": "AlignedMTL",
}
Images = tuple[Tensor, list[Tensor]]  # pixels (N, 100), and labels of each task (N,)


def torchjd(seed: int, data: Path, aggregator: str | None) -> Result:
    """Train with TorchJD's own way from losses to gradients, in a loop written by hand."""
    from torchjd import aggregation
    from torchjd.autojac import jac_to_grad, mtl_backward

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    train, val, test = _splits()
    trunk = nn.Sequential(nn.Linear(train[0].shape[1], 64), nn.ReLU())
    heads = nn.ModuleList(nn.Linear(64, 10) for _ in TASKS)
    model = nn.ModuleList([trunk, heads])
    optimizer = torch.optim.AdamW(model.parameters(), LR)
    steps = EPOCHS * math.ceil(len(train[0]) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _factor(step, steps))
    best, kept = -1.0, {}
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(train[0])).split(BATCH):
            optimizer.zero_grad()
            features = trunk(train[0][rows])
            losses = [
                nn.functional.cross_entropy(head(features), labels[rows])
                for head, labels in zip(heads, train[1], strict=True)
            ]
            if aggregator is None:
                torch.stack(losses).sum().backward()
            else:
                mtl_backward(losses, features=features)
                jac_to_grad(list(trunk.parameters()), getattr(aggregation, aggregator)())
            optimizer.step()
            schedule.step()
        score = sum(_accuracies(trunk, heads, val)) / len(TASKS)
        if score > best:
            best, kept = score, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    found = zip(TASKS, _accuracies(trunk, heads, test), strict=True)
    return {"test": {task: {"accuracy": accuracy} for task, accuracy in found}}


def _splits() -> tuple[Images, Images, Images]:
    """Return the splits that the runs of jlrun have, standardised by the training pixels."""
    found = load_multidigits(num_train=2000, num_val=500, num_test=1000)
    rows: list[Any] = [found.train, found.val, found.test]
    pixels = [_pixels(each) for each in rows]
    mean, std = pixels[0].mean(), pixels[0].std()
    train, val, test = (
        ((x - mean) / std, [each.targets[task] for task in TASKS])
        for x, each in zip(pixels, rows, strict=True)
    )
    return train, val, test


def _pixels(rows: TensorRows) -> Tensor:
    whole = rows.fetch(torch.arange(len(rows)))
    return whole.inputs["image"].flatten(1).float() / 255


def _factor(step: int, steps: int) -> float:
    """Return what multiplies the rate: a linear warm-up, then half a cosine."""
    warm = max(1, round(WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@torch.no_grad()
def _accuracies(trunk: nn.Module, heads: nn.ModuleList, images: Images) -> list[float]:
    features = trunk(images[0])
    return [
        float((head(features).argmax(1) == labels).float().mean())
        for head, labels in zip(heads, images[1], strict=True)
    ]


def ours(weighting: str) -> Job:
    """Return the run of jlrun with gradients of parameters, as TorchJD takes them."""
    of_parameters = () if weighting == "equal" else ("weighting.gradients=parameters",)
    own = (f"optimizer.lr={LR}", f"weighting={weighting}", *of_parameters)
    return Job(("mode=multitask", *DATA["multidigits"], *QUIET, "baselines=false", *own))


def cells() -> list[Cell]:
    scores = {task: of_model(task) for task in TASKS}
    scores["mean"] = mean_of(list(scores.values()))
    rows: dict[str, Source] = {}
    for weighting, aggregator in METHODS.items():
        rows[f"jlrun, {weighting}"] = ours(weighting)
        name = "plain loop, sum" if aggregator is None else f"TorchJD, {aggregator}"
        rows[name] = Outside(torchjd, (("aggregator", aggregator),))
    return [
        Cell(row, column, only(source), score)
        for row, source in rows.items()
        for column, score in scores.items()
    ]


TABLES = (
    Table(
        "peers_multidigits",
        "Weightings of jlrun and of TorchJD",
        """Two overlapped digits: the data, the MLP of 64 units, AdamW at 3e-3 with warm-up and
cosine, 12 epochs and the selection on validation rows of [weightings_multidigits]
(weightings_multidigits.md), in jlrun and in a loop written by hand with TorchJD's `mtl_backward`
and `jac_to_grad`. Both take gradients of the shared parameters. Orders of rows and initial weights
differ, so that equal methods are equal in the mean only. Times of both are in
[multitask_steps](multitask_steps.md). LibMTL 1.1.5 could not be compared: it does not import
beside torchvision 0.29.1.""".replace("]\n(", "]("),
        tuple(cells()),
        """jlrun and TorchJD agree: in the mean over tasks all ten rows are within half a point
and each method within 0.4 points of the other library's, and no difference from a plain loop is
told from 0 after correction. On this data no way to combine two task gradients is better than
their sum, in either library.""",
        seeds=tuple(range(10)),
        reference="plain loop, sum",
        stacked=True,
    ),
)
