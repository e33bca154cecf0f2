"""Scores of a trained fit: its selected weights on validation and test rows, written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.evaluation.kept_predictions import VAL_PREDICTIONS, KeptPredictions, save_predictions
from jlrun.evaluation.per_class import PerClassCounts
from jlrun.evaluation.scores import Observer, by_task, evaluate, predictor
from jlrun.files.atomic import write_json
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.tasks.objective import Objective
from jlrun.training.fit_folder import Completed, FitFolder, FitResult
from jlrun.training.learner import count_trainable
from jlrun.training.plan import Fit


@dataclass(frozen=True)
class TrainedFit:
    """A fit whose phases are all trained.

    Attributes:
        fit: its phases, and what it is scored by.
        model: on the device, with the selected weights of the last phase.
        folder: where its checkpoints are.
        completed: its phases, and their cost.
        engine: where and how to compute.
    """

    fit: Fit
    model: JointModel
    folder: FitFolder
    completed: Completed
    engine: Engine

    def score(
        self,
        val: Mapping[str, Stream],
        test: Mapping[str, Stream],
        observers: Sequence[Observer] = (),
    ) -> FitResult:
        """Score the selected weights, and write predictions and ``fit.json``.

        Args:
            val: stream name -> validation stream of the scored objectives.
            test: stream name -> test stream.
            observers: see each batch while the scored objectives are scored on the test split.
        """
        fit, done, world = self.fit, self.completed, self.engine.world
        predict = predictor(self.model, self.engine)
        scored_on_val = fit.scored if fit.val_scored is None else fit.val_scored
        saved = world.of_first(lambda: checkpoints.load_state(self.folder.best))
        per_class, kept, kept_val = PerClassCounts(), KeptPredictions(), KeptPredictions()
        result = FitResult(
            val=evaluate(predict, scored_on_val, val, (kept_val,), world),
            test=evaluate(predict, fit.scored, test, (*observers, per_class, kept), world),
            also={
                key: by_task(evaluate(predict, objectives, test, world=world), objectives)
                for key, objectives in fit.also_scored.items()
            },
            selected=saved["selected"],
            parameters=self.model.num_parameters(),
            trainable=count_trainable(self.model, fit.phases[-1]),
            seconds=done.seconds,
            samples=done.samples,
            steps=done.steps,
            last=saved["last"],
            oracle=saved["oracle"],
            per_class=per_class.by_task(),
            skipped=done.skipped,
        )
        for observer in observers:
            observer.finish(done.steps)
        if world.is_first:
            path = self.folder.path
            save_predictions(path, kept.by_task(), _positions(fit.scored, test))
            save_predictions(path, kept_val.by_task(), name=VAL_PREDICTIONS)
            write_json(path / "fit.json", asdict(result))
        return result


def _positions(objectives: Sequence[Objective], streams: Mapping[str, Stream]) -> dict[str, Tensor]:
    """Return label -> positions of the labelled rows in their stream."""
    found = {}
    for objective in objectives:
        rows = streams[objective.stream].rows
        mask = rows.labelled.get(objective.spec.column)
        found[objective.label] = (
            torch.arange(len(rows)) if mask is None else mask.nonzero().flatten()
        )
    return found
