"""Domains of a step: pairs of source and target, and the classes that they share."""

# p predicted probabilities (B, C), H their entropy in nats

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.base import TARGET, PhaseStart, StepView, precise, total
from jlrun.tasks import Binary, Multiclass, Task, TaskSpec


def target_pairs(view: StepView) -> list[tuple[str, Outputs, Outputs]]:
    """Return for each source in the step its name, its outputs and those of the target.

    None if the micro-batch lacks the target.
    """
    target = view.outputs.get(TARGET)
    if target is None or not len(target.fused):
        return []
    return [(name, outputs, target) for name, outputs in _sources(view).items()]


def source_pairs(view: StepView) -> list[tuple[Outputs, Outputs]]:
    """Return the outputs of every two sources in the step."""
    return list(combinations(_sources(view).values(), 2))


def feature_rows(outputs: Outputs, term: str) -> Tensor:
    """Return the fused features ``(B, D)``, in float32 at least.

    Raises:
        UserError: if they are maps.
    """
    if outputs.fused.ndim != 2:
        raise UserError.of(
            f"terms.{term}",
            "the features are maps, which have no distribution over rows; leave it out, or use an "
            "encoder that pools them",
        )
    return precise(outputs.fused)


def mean_over_pairs(values: Iterable[Tensor], view: StepView) -> Tensor:
    """Return the mean of scalars, in float32 at least; 0 if there are none."""
    found = list(values)
    return precise(total(found, view)) / max(len(found), 1)


def _sources(view: StepView) -> dict[str, Outputs]:
    return {name: view.outputs[name] for name in view.sources if len(view.outputs[name].fused)}


# name of a head, name of a source, outputs on the source, outputs on the target -> scalar
PairLoss = Callable[[str, str, Outputs, Outputs], Tensor]


def sum_over_heads(view: StepView, loss: PairLoss) -> Tensor:
    """Return Σ_heads of the mean over sources of ``loss``, in float32 at least; 0 without any.

    The heads are those with exclusive classes that a source in the step and the target share.
    """
    found: dict[str, list[Tensor]] = {}
    for name, source, target in target_pairs(view):
        for head in source.logits:
            if head in target.logits and _has_classes(view.tasks[head]):
                found.setdefault(head, []).append(loss(head, name, source, target))
    return precise(total((torch.stack(losses).mean() for losses in found.values()), view))


def target_class_logits(view: StepView) -> Iterator[tuple[Task, Tensor]]:
    """Yield task and logits ``(B, outputs)`` of the target's heads with exclusive classes.

    Nothing if the micro-batch lacks the target.
    """
    logits: Mapping[str, Tensor] = view.outputs[TARGET].logits if TARGET in view.outputs else {}
    for head, z in logits.items():
        if _has_classes(view.tasks[head]) and len(z):
            yield view.tasks[head], z


def target_class_heads(start: PhaseStart, term: str) -> tuple[str, ...]:
    """Return the heads with exclusive classes that are computed on the target.

    Raises:
        UserError: if there are none.
    """
    heads = start.observed.get(TARGET, ())
    return _checked(heads, start, term, "no head of the target has exclusive classes")


def paired_class_heads(start: PhaseStart, term: str) -> tuple[str, ...]:
    """Return the heads with exclusive classes that are computed on the target and on a source.

    Raises:
        UserError: if there are none.
    """
    on_sources = {head for source in start.sources for head in start.observed[source]}
    heads = [head for head in start.observed.get(TARGET, ()) if head in on_sources]
    missing = "source and target share no head with exclusive classes"
    return _checked(heads, start, term, missing)


def num_classes(spec: TaskSpec) -> int:
    """Return C of a task with exclusive classes; 2 if it is `Binary`."""
    return 2 if isinstance(spec.task, Binary) else len(spec.classes)


def entropies(log_p: Tensor) -> Tensor:
    """Return H of each row of log p ``(B, C)``, ``(B,)``."""
    return -(log_p.exp() * log_p).sum(dim=1)


def _checked(heads: Sequence[str], start: PhaseStart, term: str, missing: str) -> tuple[str, ...]:
    found = tuple(head for head in heads if _has_classes(start.tasks[head].task))
    if not found:
        raise UserError.of(
            f"terms.{term}",
            f"{missing} (heads of the phase: {', '.join(start.tasks)}); it needs a multiclass or "
            "binary task. For other tasks use dann, mmd or coral",
        )
    return found


def _has_classes(task: Task) -> bool:
    return isinstance(task, Multiclass | Binary)
