"""Pairs of domains in a step: each source with the target, or with each other source."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from torch import Tensor

from jlrun.errors import UserError
from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.base import TARGET, StepView
from jlrun.objective.terms.totals import precise, total


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
