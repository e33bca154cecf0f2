"""Scores of a split with modalities missing: scenarios, all in one pass over its rows."""

# S scenarios, B rows of a batch, M modalities, c the set of modalities that a row has left, in bits

from __future__ import annotations

# N rows of a split, B of a batch, M modalities
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

import torch
from torch import Tensor

from jlrun.data.augmentation.modality_dropout import presence, what_is_left, with_presence
from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.evaluation.scores import Predict, Prediction, Scorer
from jlrun.seeding import derive_seed
from jlrun.tasks import TaskSpec
from jlrun.tasks.objective import Objective

MOST_MODALITIES = 4  # of which every subset is scored

Subset = tuple[str, ...]
# What rows have, Bool (B, M), and where they stand in the split -> what they have left.
Scenario = Callable[[Tensor, slice], Tensor]


def subsets(modalities: Sequence[str]) -> list[Subset]:
    """Return the subsets that are scored, the smallest first and all modalities last.

    Every one that is not empty; of more than four modalities only each alone, and all but each.
    """
    count = len(modalities)
    sizes = range(1, count + 1) if count <= MOST_MODALITIES else (1, count - 1, count)
    return [subset for size in sizes for subset in combinations(modalities, size)]


def subset_name(subset: Subset) -> str:
    """Return what a subset is called in records: ``image+text``."""
    return "+".join(subset)


def only(subset: Subset, modalities: Sequence[str]) -> Scenario:
    """Return the scenario in which rows have no modality outside of ``subset``."""
    mask = torch.tensor([name in subset for name in modalities])
    return lambda has, rows: has & mask.to(has.device)


def at_rate(rate: float, seed: int, num_rows: int, modalities: Sequence[str]) -> Scenario:
    """Return the scenario in which rows lose each modality at ``rate``, but never all.

    What a row of the split loses depends on seed, rate and the row's position alone. Of one seed,
    rows lose more at higher rates, and nothing that they keep at these.

    Args:
        rate: in [0, 1).
        seed: of the draws.
        num_rows: N.
        modalities: in their order.
    """
    generator = torch.Generator().manual_seed(derive_seed("missing", seed))
    drawn = torch.rand(num_rows, len(modalities), generator=generator)
    rates = torch.full((len(modalities),), rate)

    def scenario(has: Tensor, rows: slice) -> Tensor:
        return what_is_left(has, rates.to(has.device), drawn[rows].to(has.device))

    return scenario


@dataclass(frozen=True)
class ScoredModel:
    """A trained model, as far as scores with modalities missing depend on it.

    Attributes:
        modalities: what the model takes, several.
        scored: what its scores are about.
        learned: the objectives of its last phase.
        train: stream name -> training stream of its last phase.
        never_missing: modalities that (nearly) no row lacked while its tasks were learned.
    """

    modalities: tuple[str, ...]
    scored: tuple[Objective, ...]
    learned: tuple[Objective, ...]
    train: Mapping[str, Stream]
    never_missing: tuple[str, ...] = ()


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Outcome:
    """Scores of a task under a scenario.

    Attributes:
        rows: labelled rows with any modality left.
        scores: metric -> value over these; empty without any.
        filled: metric -> value over all labelled rows, where those with nothing left are given the
            constant prediction; empty if there is none.
    """

    rows: int
    scores: Mapping[str, float]
    filled: Mapping[str, float]


@dataclass(frozen=True)
class Scored:
    """Outcomes of the tasks of a stream under a scenario.

    Attributes:
        outcomes: label of an objective -> outcome.
        lost: how many of the modalities that rows had they lost; ``had``: of how many.
    """

    outcomes: Mapping[str, Outcome]
    lost: int
    had: int


@torch.no_grad()
def score_under(
    predict: Predict,
    objectives: Sequence[Objective],
    stream: Stream,
    modalities: Sequence[str],
    scenarios: Mapping[Key, Scenario],
    constants: Mapping[str, Tensor],
) -> dict[Key, Scored]:
    """Return scenario -> scores.

    A prediction depends on a row and on what it has left alone, so each row is passed through the
    model once for each different rest, and not once for each scenario.

    Args:
        predict: of a model that takes ``modalities``.
        objectives: of ``stream``.
        stream: is read once.
        modalities: in their order.
        scenarios: by keys of any kind.
        constants: label -> logits of the constant prediction, ``(outputs,)``, or
            ``(outputs, 1, 1)`` of a dense task; labels without one have no filled scores.
    """
    tallies = {
        name: [_Tally(o.spec, constants.get(o.label)) for o in objectives] for name in scenarios
    }
    lost, had = dict.fromkeys(scenarios, 0), dict.fromkeys(scenarios, 0)
    start = 0
    for batch in stream.sweep(_batch_size(objectives, stream, modalities)):
        has, rows = presence(batch, modalities), slice(start, start + batch.size)
        start = rows.stop
        left = {name: scenario(has, rows) for name, scenario in scenarios.items()}
        answers = _Answers.of(predict, objectives, batch, modalities, left)
        for name, rest in left.items():
            had[name] += int(has.sum())
            lost[name] += int(has.sum() - rest.sum())
            for k, objective in enumerate(objectives):
                tallies[name][k].add(*answers.labelled_rows(name, k, batch, objective))
    return {
        name: Scored(
            {o.label: t.outcome() for o, t in zip(objectives, tallies[name], strict=True)},
            lost[name],
            had[name],
        )
        for name in scenarios
    }


def _batch_size(
    objectives: Sequence[Objective], stream: Stream, modalities: Sequence[str]
) -> int | None:
    """Return how many rows to read at once; fewer where predictions are maps, which take memory."""
    if not any(objective.spec.task.dense for objective in objectives):
        return None
    return max(1, stream.batch_size // 2 ** min(len(modalities), 4))


@dataclass(frozen=True)
class _Answers(Generic[Key]):
    """The predictions for a batch under every rest that some scenario leaves some row.

    Attributes:
        codes: scenario -> c of each row, int64 ``(B,)``; 0: nothing is left.
        found: c -> the rows that have it in some scenario, ``(R,)``, and their predictions, one
            for each objective.
    """

    codes: Mapping[Key, Tensor]
    found: Mapping[int, tuple[Tensor, list[Prediction]]]

    @classmethod
    def of(
        cls,
        predict: Predict,
        objectives: Sequence[Objective],
        batch: Batch,
        modalities: Sequence[str],
        left: Mapping[Key, Tensor],
    ) -> _Answers[Key]:
        masks = torch.stack(list(left.values()))  # (S, B, M)
        bits = 2 ** torch.arange(masks.shape[2], device=masks.device)
        codes = (masks * bits).sum(dim=2)
        found = {}
        for code in codes.unique().tolist():
            if code:
                rows = (codes == code).any(dim=0).nonzero()[:, 0]
                has = (code & bits).bool().expand(len(rows), -1)
                shown = with_presence(batch.select(rows), modalities, has)
                found[code] = rows, predict(shown, objectives)
        return cls(dict(zip(left, codes, strict=True)), found)

    def labelled_rows(
        self, scenario: Key, k: int, batch: Batch, objective: Objective
    ) -> tuple[Tensor, list[Prediction], Tensor]:
        """Return predictions and targets of the rows labelled for the ``k``-th objective.

        Returns:
            targets of those with something left, their predictions in parts, and the targets of
            those with nothing left.
        """
        codes, targets = self.codes[scenario], batch.targets[objective.spec.column]
        labelled = batch.labelled.get(objective.spec.column)
        known = torch.ones_like(codes, dtype=torch.bool) if labelled is None else labelled
        rows, parts = [], []
        for code, (at, predictions) in self.found.items():
            mine = (codes[at] == code) & known[at]
            if bool(mine.any()):
                rows.append(at[mine])
                parts.append(predictions[k].of_rows(mine))
        order = torch.cat(rows) if rows else codes.new_zeros(0)
        return targets[order], parts, targets[known & (codes == 0)]


class _Tally:
    """Accumulates the outcome of a task under a scenario.

    Until a first row has nothing left, both kinds of scores are the same and counted once.
    """

    def __init__(self, spec: TaskSpec, constant: Tensor | None) -> None:
        self._task = spec.task
        self._constant = constant
        self._scorer = Scorer(spec)
        self._filled: Scorer | None = None

    def add(self, target: Tensor, parts: Sequence[Prediction], lost: Tensor) -> None:
        if len(lost) and self._constant is not None and self._filled is None:
            self._filled = deepcopy(self._scorer)
        if len(target):
            prediction = Prediction.concatenate(parts)
            self._scorer.update(target, prediction)
            if self._filled is not None:
                self._filled.update(target, prediction)
        if len(lost) and self._filled is not None and self._constant is not None:
            logits = self._constant.to(lost.device).expand(len(lost), *self._constant.shape)
            self._filled.update(lost, Prediction.of(self._task, logits))

    def outcome(self) -> Outcome:
        scores = self._scorer.compute() if self._scorer.count else {}
        if self._filled is not None:
            filled = self._filled.compute()
        else:
            filled = {} if self._constant is None else scores
        return Outcome(self._scorer.count, scores, filled)
