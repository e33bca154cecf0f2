"""Which test rows stand for a task: a sample over its classes or values, and the worst mistakes."""

# N rows, C classes or labels

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.reporting.figures.numbers import number_format
from jlrun.reporting.figures.samples import Sample
from jlrun.tasks import TaskSpec

NUM_SAMPLES = 16
NUM_WORST = 8


def sampled(spec: TaskSpec, rows: RowPredictions) -> tuple[Tensor, str]:
    """Return the positions of at most `NUM_SAMPLES` rows ``(M,)``, and what they are, in words.

    Of classes the first rows of each, in turns; of more classes than that, of evenly spaced ones.
    Of numbers rows evenly spaced from the smallest to the largest target. Of labels evenly spaced
    rows.
    """
    known = _known(rows)
    if not len(known):
        return known, ""
    target = rows.target[known]
    if not spec.classes:
        order, what = target.argsort(stable=True), "smallest to largest target"
    elif target.ndim > 1:
        order, what = torch.arange(len(known)), "evenly spaced rows"
    else:
        return known[_over_classes(target.long())], "rows of each class in turn"
    return known[order[_spaced(len(order), NUM_SAMPLES)]], what


def worst(spec: TaskSpec, rows: RowPredictions) -> tuple[Tensor, str]:
    """Return the positions of at most `NUM_WORST` mistakes, the worst first, and what they are.

    Of classes those with the most probable wrong decision; of numbers those that are furthest off;
    of labels those with the most wrong labels.
    """
    known = _known(rows)
    p, target = rows.probabilities[known], rows.target[known]
    if not len(known):
        return known, ""
    if not spec.classes:
        badness, what = (p[:, 0] - target).abs().double(), "furthest from their targets"
    else:
        decided = spec.task.decide(p)
        wrong = (decided != target).double()
        if target.ndim > 1:
            badness, what = wrong.sum(dim=1), "most labels wrong"
        else:
            sure = p.double().gather(1, decided.long()[:, None])[:, 0]
            badness, what = wrong * sure, "wrong, and most sure of it"
    order = badness.argsort(descending=True, stable=True)[:NUM_WORST]
    return known[order[badness[order] > 0]], what


def described(
    spec: TaskSpec, rows: RowPredictions, at: Tensor, contents: Sequence[Tensor | str]
) -> list[Sample]:
    """Return the rows at the positions ``at`` with the words of their targets and predictions."""
    decided = spec.task.decide(rows.probabilities)
    if not spec.classes:
        written = number_format(rows.target.double().tolist())
        return [
            Sample(content, written(float(rows.target[i])), written(float(decided[i])))
            for i, content in zip(at.tolist(), contents, strict=True)
        ]
    found = []
    for i, content in zip(at.tolist(), contents, strict=True):
        true, guess = rows.target[i], decided[i]
        sure = None if true.ndim else float(rows.probabilities[i, int(guess)])
        names = (_name(spec.classes, true), _name(spec.classes, guess))
        found.append(Sample(content, *names, sure, bool((true == guess).all())))
    return found


def _known(rows: RowPredictions) -> Tensor:
    """Return the positions of the rows that have a prediction."""
    return (~rows.probabilities.isnan().any(dim=1)).nonzero()[:, 0]


def _over_classes(target: Tensor) -> Tensor:
    """Return positions of rows, the first of each class, then the second ones, sorted by class."""
    classes = target.unique()
    classes = classes[_spaced(len(classes), NUM_SAMPLES)]
    most = -(-NUM_SAMPLES // len(classes))
    turns = [(target == c).nonzero()[:most, 0].tolist() for c in classes]
    found = [rows[turn] for turn in range(most) for rows in turns if turn < len(rows)]
    chosen = torch.tensor(found[:NUM_SAMPLES])
    return chosen[target[chosen].argsort(stable=True)]


def _spaced(count: int, most: int) -> Tensor:
    """Return at most ``most`` evenly spaced positions among ``count``."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _name(classes: Sequence[str], label: Tensor) -> str:
    if not label.ndim:
        return classes[int(label)]
    return ", ".join(c for c, on in zip(classes, label.tolist(), strict=True) if on) or "none"
