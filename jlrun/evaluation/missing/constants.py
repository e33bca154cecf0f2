"""Best constant prediction, from the labels of the training rows alone."""

# z constant logits, K outputs

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from jlrun.data.streams import Stream
from jlrun.evaluation.missing.scoring import ScoredModel
from jlrun.tasks import Task
from jlrun.tasks.objective import Objective

MOST_ROWS = 20_000  # whose labels are read
MOST_MAPS = 64  # likewise, of dense tasks


def constant_logits(model: ScoredModel) -> dict[str, Tensor]:
    """Return label -> constant logits for what ``model`` is scored on, float64 ``(K,)``.

    Maps of dense tasks have ``(K, 1, 1)``. They come from what trained the task's head in the last
    phase: the rows of the stream it is scored on, where these were learned from, or all others. An
    objective whose head was not trained has none.
    """
    found = {}
    for scored in model.scored:
        trained = [o for o in model.learned if o.head == scored.head]
        same = [o for o in trained if o.stream == scored.stream]
        targets = _training_targets(same or trained, model.train)
        if targets is not None:
            task = (same or trained)[0].spec.task
            found[scored.label] = best_constant(task, scored.spec.num_outputs, targets)
    return found


def best_constant(task: Task, num_outputs: int, targets: Tensor) -> Tensor:
    """Return the z that minimises the mean loss of ``task`` over ``targets``.

    For cross-entropy its probabilities are the frequencies of the classes, so that it decides for
    the most frequent one; for the squared error it is the mean. Losses of our tasks are convex in
    it, but for that of directions.

    Args:
        task: gives the loss.
        num_outputs: K.
        targets: of N labelled rows, N at least 1.
    """
    shape = (num_outputs, 1, 1) if task.dense else (num_outputs,)
    # Not exactly zero, which has no direction.
    logits = torch.full(shape, 1e-3, dtype=torch.float64, device=targets.device).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [logits],
        max_iter=200,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = task.loss(logits.expand(len(targets), *shape), targets).mean()
        loss.backward()
        return loss.item()

    with torch.enable_grad():
        optimizer.step(closure)
    return logits.detach()


def _training_targets(
    objectives: Sequence[Objective], streams: Mapping[str, Stream]
) -> Tensor | None:
    """Return the targets of labelled training rows; None without any."""
    parts = [_labelled_targets(o, streams[o.stream]) for o in objectives]
    found = [part for part in parts if len(part)]
    return torch.cat(found) if found else None


def _labelled_targets(objective: Objective, stream: Stream) -> Tensor:
    column = objective.spec.column
    if objective.spec.task.dense:
        return _maps(column, stream.sample(MOST_MAPS))
    rows = stream.sample(MOST_ROWS).rows
    labelled = rows.labelled.get(column)
    return rows.targets[column] if labelled is None else rows.targets[column][labelled]


def _maps(column: str, stream: Stream) -> Tensor:
    """Return the maps of all labelled rows, which may be decoded only with the inputs."""
    found = []
    for batch in stream.sweep():
        labelled = batch.labelled.get(column)
        maps = batch.targets[column]
        found.append(maps if labelled is None else maps[labelled])
    return torch.cat(found).cpu()
