"""Pruning of a search's trials: a run reports its validation scores, and may be told to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from jlrun.errors import Pruned
from jlrun.runs.sweeps.shared_study import close_storage, load_optuna, open_storage
from jlrun.tasks import SMALLER_IS_BETTER
from jlrun.training.recorder import MAIN_FIT, PhaseInfo, Position, Recorder


class PruningRecorder(Recorder):
    """Recorder that ends a run when its trial is to be pruned.

    Reported are the epochs of one phase, the last of the main fit: scores of others are of another
    task or data set.

    Args:
        trial: of Optuna; maximizes.
        phase: name of the phase.
        warmup_epochs: in which nothing is pruned.
        release: lets go of the database.
    """

    def __init__(
        self, trial: Any, phase: str, warmup_epochs: int, release: Callable[[], None]
    ) -> None:
        self._release = release
        self._trial, self._phase, self._warmup = trial, phase, warmup_epochs
        self._num_epochs = 0

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._num_epochs = phase.num_epochs

    def epoch(self, at: Position, summary: Mapping[str, float], best: bool) -> None:
        score = mean_validation_score(summary)
        if (at.fit, at.phase) != (MAIN_FIT, self._phase) or score is None:
            return
        self._trial.report(score, at.epoch)
        last = at.epoch >= self._num_epochs
        if at.epoch > self._warmup and not last and self._trial.should_prune():
            message = f"pruned after epoch {at.epoch}: below the median of the other trials"
            raise Pruned(message)

    def close(self) -> None:
        self._release()


def mean_validation_score(summary: Mapping[str, float]) -> float | None:
    """Return the mean of the main validation scores, signed so that larger is better."""
    scores = [
        -value if tag.rpartition("/")[2] in SMALLER_IS_BETTER else value
        for tag, value in summary.items()
        if tag.startswith("val/")
    ]
    return fmean(scores) if scores else None


def pruning_of(study: Mapping[str, Any], number: int) -> Callable[[str], Recorder]:
    """Return what makes the recorder that prunes a trial, given its last phase.

    Args:
        study: as the state of the sweep has it.
        number: of the trial.
    """

    def make(phase: str) -> Recorder:
        optuna = load_optuna()
        storage = open_storage(study["storage"])
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=study["startup_trials"], n_warmup_steps=study["warmup_epochs"]
        )
        found = optuna.load_study(
            study_name=study["name"],
            storage=storage,
            sampler=optuna.samplers.RandomSampler(seed=0),  # draws nothing: all is chosen
            pruner=pruner,
        )
        (trial,) = (t for t in found.get_trials(deepcopy=False) if t.number == number)
        running = optuna.trial.Trial(found, trial._trial_id)
        return PruningRecorder(
            running, phase, study["warmup_epochs"], lambda: close_storage(storage)
        )

    return make
