"""Greedy soup: the mean of the weights of runs, as long as the validation score does not fall."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from jlrun.engine import session_of
from jlrun.errors import UserError
from jlrun.evaluation.scores import Scores, by_task, evaluate, mean_score, predictor
from jlrun.models.interpolation import Weights, greedy_soup
from jlrun.models.joint_model import JointModel
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.fingerprints import check_other_data, check_unchanged
from jlrun.runs.settings import RunSettings
from jlrun.runs.soups.members import Member
from jlrun.seeding import seed_everything
from jlrun.training.plan import Fit


@dataclass(frozen=True)
class RunSoup:
    """Soup of runs, as `soup_of_runs` returns it.

    Attributes:
        weights: of the soup, low-rank adapters folded in.
        chosen: places of its members among the runs, the best first.
        criterion: what scores are called.
        score: of the soup on validation rows.
        scores: of each run, in the order given.
        uniform: of the mean of all runs, which is not tested.
        val, test: scores of the soup by task and metric.
        also: result key -> test scores on other streams.
        primary: task -> its main metric.
    """

    weights: Mapping[str, Tensor]
    chosen: tuple[int, ...]
    criterion: str
    score: float
    scores: tuple[float, ...]
    uniform: float
    val: Scores
    test: Scores
    also: Mapping[str, Scores]
    primary: Mapping[str, str]


def soup_of_runs(
    members: Sequence[Member], settings: RunSettings, other_data: bool = False
) -> RunSoup:
    """Return the greedy soup of runs (`jlrun.models.interpolation.greedy_soup`).

    Every run is scored again, on the validation rows of ``settings``, in the way that selected its
    checkpoint. The test split is read once, for the soup.

    Args:
        members: that `jlrun.runs.soups.members.check_compatible` lets pass.
        settings: of the first, perhaps on another device.
        other_data: whether other data than that of the runs is meant.

    Raises:
        UserError: if the data has changed, or has training rows among those to be scored.
        UserError: if a run has no validation score, or the models differ in their weights.
    """
    with session_of(settings.engine):
        assembly = assemble(settings)
        for member in members:
            _check_data(member, assembly, asked=other_data)
        scoring = _Scoring(assembly, assembly.engine.prepare(members[0].model()))
        weights = [_weights(member.model()) for member in members]
        scores = tuple(
            scoring.finite(candidate, member.directory)
            for candidate, member in zip(weights, members, strict=True)
        )
        order = sorted(range(len(members)), key=lambda i: -scores[i])
        candidates = [weights[i] for i in order]
        # With the same score for all of them, none is left out.
        uniform = scoring(greedy_soup(candidates, lambda _: 0.0).weights)
        soup = greedy_soup(candidates, scoring)
        return RunSoup(
            weights=soup.weights,
            chosen=tuple(order[place] for place in soup.members),
            criterion=scoring.phase.selector.criterion,
            score=soup.score,
            scores=scores,
            uniform=uniform,
            **scoring.report(soup.weights),
        )


def _check_data(member: Member, assembly: Assembly, asked: bool) -> None:
    now = assembly.fingerprint
    check_other_data(member.directory, now)
    if not asked:
        # Training rows may differ: each run's own seed draws its shots.
        fix = "name other data on purpose, as in dataset.root=…"
        check_unchanged(member.directory, now, fix=fix, kinds=("val", "test"))


class _Scoring:
    """Scores weights by what selects in the main fit's last phase."""

    def __init__(self, assembly: Assembly, model: JointModel) -> None:
        self._assembly, self._model = assembly, model
        self._fit: Fit = assembly.plan.fits[0]
        self.phase = self._fit.phases[-1]

    def __call__(self, weights: Weights) -> float:
        """Return the validation score; larger is better."""
        self._model.load_state_dict(weights)
        phase, engine = self.phase, self._assembly.engine
        self._model.eval()
        seed_everything(self._assembly.settings.seed, phase.name, "judge", phase.epochs)
        score = phase.selector(self._model, engine, phase.epochs).score
        if score is not None:
            return score
        scores = evaluate(predictor(self._model, engine), phase.selection, phase.val)
        return mean_score(scores, phase.selection)

    def finite(self, weights: Weights, directory: Path) -> float:
        """Return the validation score of a run."""
        score = self(weights)
        if not math.isfinite(score):
            raise UserError.of(str(directory), f"its validation score is {score}; leave it out")
        return score

    def report(self, weights: Weights) -> dict[str, Any]:
        """Return the fields of `RunSoup` that are read from the splits at the end."""
        self._model.load_state_dict(weights)
        predict = predictor(self._model, self._assembly.engine)
        plan, fit = self._assembly.plan, self._fit
        on_val = fit.scored if fit.val_scored is None else fit.val_scored
        return {
            "val": evaluate(predict, on_val, plan.val),
            "test": evaluate(predict, fit.scored, plan.test),
            "also": {
                key: by_task(evaluate(predict, objectives, plan.test), objectives)
                for key, objectives in fit.also_scored.items()
            },
            "primary": {spec.name: spec.task.primary for spec in self._assembly.tasks},
        }


def _weights(model: JointModel) -> dict[str, Tensor]:
    return dict(model.state_dict())
