"""Divergence of a head's outputs from a teacher's."""

# T temperature, z the student's logits, z′ the teacher's

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.terms.totals import precise
from jlrun.tasks import Binary, Multiclass, Multilabel, Segmentation, Task


def divergence(task: Task, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² KL(p′ ‖ p) of each row, ``(B,)``, p and p′ from logits divided by T.

    Section 2 of Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015, minus
    the teacher's entropy, which has no gradient: 0 is perfect. T² keeps the size of the gradient.
    Binary outputs have the divergence of two Bernoulli distributions, averaged over the labels of a
    multilabel task; real-valued outputs the mean squared difference, without T. Maps are averaged
    over their positions.

    Args:
        task: what the logits mean.
        student: ``(B, outputs, ...)``.
        teacher: of the same shape, without a graph.
        temperature: T, above 0.
    """
    z, teachers = precise(student), precise(teacher)
    if isinstance(task, Multiclass | Segmentation):
        log_p, log_q = ((x / temperature).log_softmax(dim=1) for x in (z, teachers))
        values = temperature**2 * (log_q.exp() * (log_q - log_p)).sum(dim=1)
    elif isinstance(task, Binary | Multilabel):
        values = temperature**2 * _coins(z / temperature, teachers / temperature).mean(dim=1)
    else:
        values = (z - teachers).square().mean(dim=1)
    return values.flatten(1).mean(dim=1) if values.ndim > 1 else values


def class_log_probabilities(task: Task, logits: Tensor) -> Tensor:
    """Return log p ``(B, C)`` of a `Multiclass` or `Binary` task (C = 2)."""
    if isinstance(task, Multiclass):
        return precise(logits).log_softmax(dim=1)
    assert isinstance(task, Binary)
    z = precise(logits[:, 0])
    return F.logsigmoid(z.new_tensor([[-1.0, 1.0]]) * z[:, None])


def _coins(z: Tensor, teacher: Tensor) -> Tensor:
    q = teacher.sigmoid()
    heads = q * (F.logsigmoid(teacher) - F.logsigmoid(z))
    return heads + (1 - q) * (F.logsigmoid(-teacher) - F.logsigmoid(-z))
