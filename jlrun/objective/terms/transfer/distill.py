"""Distillation: features and predictions of another run's model."""

# T temperature, z the student's logits, z′ the teacher's

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.base import PhaseStart, StepView, Term, no_loss, precise, total
from jlrun.objective.terms.transfer.frozen import FrozenModel
from jlrun.objective.terms.transfer.teacher import TeacherAdapter, Teachers, located_at
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.tasks import Binary, Multiclass, Multilabel, Segmentation, Task

WHERE = "terms.distill.run"


class Distill(Term):
    """R = mean_rows ‖n(A f) − n(f′)‖² + ρ Σ_heads mean_rows T² KL(p′ ‖ p).

    f are the fused features, f′ those of the teacher on the same rows, n scales to length 1, and A
    is a learned linear map where the widths differ, else nothing. The first sum is a hint in the
    sense of Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, eq. (3). Differs from it
    in: both sides are normalised, so that the scale of the teacher's features doesn't matter; the
    map is linear; it is one of several losses and not a separate stage. The second sum is over
    the heads that both models have, for tasks with the same classes, and is of Hinton et al., 2015.

    The teacher is the selected model of a finished run, on other image sizes and channels where it
    takes such. It is not in the checkpoints: its run has to stay where it is.

    Args:
        weight: strength of the term.
        run: directory of the teacher's run.
        logits: ρ; 0 distils features only.
        temperature: T.
    """

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        run: str | None = None,
        logits: NonNegativeFloat = 0.0,
        temperature: PositiveFloat = 2.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.run = run
        self.logits = logits
        self.temperature = temperature
        self.adapter: nn.Module = nn.Identity()
        # No module, so that neither checkpoints nor the optimizer see the teacher.
        self._adapter: TeacherAdapter | None = None
        self._teachers: Teachers | None = None
        self._heads: tuple[str, ...] = ()

    def find_teachers_with(self, teachers: Teachers) -> None:
        """Set the access to the models of runs; called once, before any other method."""
        self._teachers = teachers

    @classmethod
    def other_modalities(cls, arguments: Mapping[str, Any], teachers: Teachers) -> Collection[str]:
        directory = _directory(arguments.get("run"))
        with located_at(WHERE):
            return tuple(teachers.specs(directory))

    def begin_phase(self, start: PhaseStart) -> None:
        """Load the teacher.

        Raises:
            UserError: if no run is named, there is none, or it takes other inputs than this one.
        """
        if not start.observed:  # a phase of terms alone, which have no outputs to teach
            return
        like = next(start.model.parameters())
        streams = {name: start.streams[name] for name in start.observed}
        directory = _directory(self.run)
        assert self._teachers is not None, "find_teachers_with comes first"
        adapter = TeacherAdapter.of(directory, self._teachers, streams, like.device, WHERE)
        own, other = _widths(start, adapter)
        if own != other:
            self.adapter = nn.Linear(own, other, device=like.device, dtype=like.dtype)
        self._adapter = adapter
        self._heads = tuple(
            head
            for head, spec in start.tasks.items()
            if head in adapter.heads and spec.shares_head_with(adapter.heads[head])
        )

    def forward(self, view: StepView) -> Tensor:
        if not view.outputs:
            return no_loss(view)
        assert self._adapter is not None, "begin_phase comes first"
        sums = []
        for stream, outputs in view.outputs.items():
            targets = self._adapter.outputs(stream, view.batches[stream])
            sums.append(self._feature_gaps(outputs, targets))
            if self.logits > 0:
                sums.append(self.logits * self._logit_gaps(view, outputs, targets))
        rows = sum(view.batches[stream].size for stream in view.outputs)
        return precise(total(sums, view)) / max(rows, 1)

    def _feature_gaps(self, outputs: Outputs, targets: Outputs) -> Tensor:
        own = F.normalize(precise(self.adapter(outputs.fused)), dim=1)
        other = F.normalize(precise(targets.fused), dim=1).to(own)
        return (own - other).square().sum()

    def _logit_gaps(self, view: StepView, outputs: Outputs, targets: Outputs) -> Tensor:
        gaps = (
            divergence(view.tasks[head], z, targets.logits[head].to(z), self.temperature).sum()
            for head, z in ((head, precise(x)) for head, x in outputs.logits.items())
            if head in self._heads
        )
        return precise(total(gaps, view))


def _directory(run: str | None) -> Path:
    if run is None:
        raise UserError.of(
            WHERE, "null: a teacher is needed; name the directory of a finished run of jlrun"
        )
    return Path(run).expanduser()


def _widths(start: PhaseStart, adapter: TeacherAdapter) -> tuple[int, int]:
    """Return the widths of the features of the model and of the teacher, seen on a few rows."""
    own = FrozenModel(start.model)
    stream = next(iter(start.observed))
    batch = next(iter(start.streams[stream].sweep(batch_size=2)))
    found = own(batch).fused, adapter.outputs(stream, batch).fused
    for who, fused in zip(("this model", "the teacher"), found, strict=True):
        if fused.ndim > 2:
            raise UserError.of(
                WHERE, f"the features of {who} are maps; distil between models that pool them"
            )
    return found[0].shape[1], found[1].shape[1]


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


def _coins(z: Tensor, teacher: Tensor) -> Tensor:
    q = teacher.sigmoid()
    heads = q * (F.logsigmoid(teacher) - F.logsigmoid(z))
    return heads + (1 - q) * (F.logsigmoid(-teacher) - F.logsigmoid(-z))
