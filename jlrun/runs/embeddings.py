"""Fused features of validation rows, for TensorBoard's projector."""

from __future__ import annotations

import torch

from jlrun.data.batch import Batch
from jlrun.evaluation.prediction_columns import target_cells
from jlrun.models import checkpoints
from jlrun.runs.assembly import Assembly
from jlrun.runs.job import Job
from jlrun.training.recorder import MAIN_FIT, Recorder

MOST_ROWS = 2000  # which a browser still moves smoothly
NAME = "fused_features"


@torch.no_grad()
def record_embedding(job: Job, assembly: Assembly, recorder: Recorder) -> None:
    """Record the features that tasks share under the selected weights, if it is asked for.

    Of validation rows, as the test split is read once.
    """
    if not job.settings.recorder.embeddings:
        return
    fit, engine = assembly.plan.fits[0], assembly.engine
    model = assembly.new_model(fit)
    checkpoints.load_model(job.folder(MAIN_FIT).best, model)
    model.eval()
    found, batches = list[torch.Tensor](), list[Batch]()
    for batch in assembly.leading.val.sample(MOST_ROWS).sweep():
        with engine.autocast():
            features = model.encode(batch).float()
        found.append((features if features.ndim == 2 else features.flatten(2).mean(dim=2)).cpu())
        batches.append(batch.to(torch.device("cpu")))
    if not found:
        recorder.message("recorder.embeddings: there are no validation rows to show")
        return
    recorder.embedding(NAME, torch.cat(found), _labels(assembly, batches))


def _labels(assembly: Assembly, batches: list[Batch]) -> dict[str, list[str]]:
    """Return task -> the truth of each row; ``-`` where there is none."""
    labels: dict[str, list[str]] = {}
    specs = [spec for spec in assembly.tasks if not spec.task.dense]
    for spec in specs:
        cells = []
        for batch in (b for b in batches if spec.column in b.targets):
            targets = batch.targets[spec.column]
            known = batch.labelled.get(spec.column, torch.ones(len(targets), dtype=torch.bool))
            cells += target_cells(spec, targets, known)
        if cells:
            labels[spec.name] = ["-" if cell is None else str(cell) for cell in cells]
    return labels
