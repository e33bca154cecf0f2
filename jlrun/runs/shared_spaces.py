"""What came of the shared spaces of a run's model, from the checkpoint that has them learned."""

from __future__ import annotations

from jlrun.evaluation.retrieval import Findings, measure_spaces
from jlrun.models import checkpoints
from jlrun.runs.assembly import Assembly
from jlrun.runs.datasets import retrieval_options
from jlrun.training.fit import FitFolder
from jlrun.training.plan import Phase


def look_at_spaces(folder: FitFolder, assembly: Assembly) -> Findings:
    """Score the spaces of the main fit with the selected weights of the last phase that had them.

    Later phases move the encoders away from the projections; their weights are not looked at. This
    reads the test split, once the run is done.

    Args:
        folder: of the main fit, with its checkpoints.
        assembly: of the run.
    """
    fit, phase = assembly.plan.fits[0], learning_phase(assembly)
    if phase is None:
        return Findings()
    model = assembly.new_model(fit)
    checkpoints.load_model(folder.selected(fit, phase), model)
    options = retrieval_options(assembly.settings)
    return measure_spaces(model, assembly.engine, assembly.leading, assembly.specs, options)


def learning_phase(assembly: Assembly) -> Phase | None:
    """Return the last phase of the main fit in which terms between modalities act."""
    acting = [phase for phase in assembly.plan.fits[0].phases if phase.across_modalities]
    return acting[-1] if acting else None
