"""A study of Optuna that several processes share: trials with leases, exactly as many as asked for.

Optuna's own heartbeats work in ``optimize`` alone, which runs a function in this process. Here
trials are asked for and told, and each carries what says whether its process lives: a number that a
thread of its owner changes. A process that sees no change for the time of a lease, by its own
clock, fails the trial and enqueues its parameters again.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.runs.sweeps.space import Choice, Dimension, written

MOST_TRIES = 3  # of the same parameters, whose process died
OWNER, BEAT, ADMITTED, TRIES = "owner", "heartbeat", "admitted", "tries"
FOLDER, ENDED, CONFIGS = "folder", "ended", "configs"


@dataclass(frozen=True)
class SearchSettings:
    """Where a study of Optuna is and how it searches.

    Attributes:
        storage: URL of its database.
        name: of the study in it.
        objectives: names of what trials are compared by; empty: the objective of the runs.
        sampler: tpe, nsgaii or random.
        seed: of the sampler.
        trials: number of trials in all.
        lease_seconds: after which a silent trial is given up.
        configs: digest of what the trials have in common; those of another one are never the same.
    """

    storage: str
    name: str
    objectives: tuple[str, ...]
    sampler: str
    seed: int
    trials: int
    lease_seconds: float
    configs: str = ""


@dataclass(frozen=True)
class Twin:
    """An earlier trial of the same parameters.

    Attributes:
        number: of the trial.
        state: COMPLETE, PRUNED or RUNNING.
        values: of a complete one.
    """

    number: int
    state: str
    values: tuple[float, ...]


class SharedStudy:
    """Trials of a study that other processes may work on, too.

    Args:
        settings: of the study.
        directions: maximize or minimize, for each objective.
        folder: of our sweep, by which we know our own trials again.
        space: what trials choose.
    """

    def __init__(
        self,
        settings: SearchSettings,
        directions: Sequence[str],
        folder: str,
        space: Sequence[Dimension],
    ) -> None:
        self._optuna = load_optuna()
        self._settings, self._folder, self._space = settings, folder, space
        self._storage = open_storage(settings.storage)
        self._study = self._optuna.create_study(
            storage=self._storage,
            study_name=settings.name,
            sampler=_seeded(settings),
            directions=list(directions),
            load_if_exists=True,
        )
        self._check(directions)
        self._owner = secrets.token_hex(8)
        self._ours: dict[int, Any] = {}  # number -> trial
        self._seen: dict[int, tuple[Any, float]] = {}  # id -> last sign of life, and when we saw it
        self._lock = threading.Lock()

    def _check(self, directions: Sequence[str]) -> None:
        found = [direction.name.lower() for direction in self._study.directions]
        names = list(self._settings.objectives)
        before = self._study.user_attrs.get("objectives", names)
        if found != list(directions) or before != names:
            message = f"the study '{self._settings.name}' has other objectives: {before or 'one'}"
            raise UserError.of("sweep.objectives", f"{message}; choose another sweep.study")
        self._study.set_user_attr("objectives", names)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Give signs of life for our trials."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(self._settings.lease_seconds / 4):
                self._beat()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _beat(self) -> None:
        with self._lock:
            ours = list(self._ours.values())
        for trial in ours:
            # Whatever the database says: the next beat tries again, and `tell` reports a loss.
            with suppress(Exception):
                self._storage.set_trial_user_attr(trial._trial_id, BEAT, time.time())

    def adopted(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and overrides of the trials that an earlier launch of our sweep began."""
        for frozen in self._trials("RUNNING"):
            if frozen.user_attrs.get(FOLDER) == self._folder:
                trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
                self._own(trial)
                yield trial.number, self._overrides(trial)

    def ask(self) -> tuple[int, list[str]] | None:
        """Return number and overrides of a new trial; None if others are busy with the last ones.

        Raises:
            StopIteration: if all trials are done.
        """
        self._give_up_dead()
        done, admitted = self._counts()
        if done >= self._settings.trials:
            raise StopIteration
        if done + admitted >= self._settings.trials:
            return None
        trial = self._study.ask()
        self._own(trial)
        trial.set_user_attr(ADMITTED, True)
        # Of several processes that ask at once, the last one to set its mark sees all of them.
        if sum(self._counts()) > self._settings.trials:
            self._close(trial.number, "FAIL")
            time.sleep(secrets.randbelow(500) / 1000)
            return None
        return trial.number, self._overrides(trial)

    @property
    def num_done(self) -> int:
        """Number of trials that are done, failed ones included."""
        return self._counts()[0]

    def twin(self, number: int, texts: Sequence[str]) -> Twin | None:
        """Return the first earlier trial with the same overrides whose score is, or will be, known.

        Args:
            number: of the trial.
            texts: its overrides.
        """
        self._give_up_dead()  # whose score will never be known
        for trial in self._study.get_trials(deepcopy=False):
            state, marks = trial.state.name, trial.user_attrs
            begun = state in ("COMPLETE", "PRUNED") or (state == "RUNNING" and ADMITTED in marks)
            alike = begun and marks.get(CONFIGS) == self._settings.configs
            if trial.number < number and alike and self._written(trial.params) == list(texts):
                return Twin(trial.number, state, tuple(trial.values or ()))
        return None

    def tell(self, number: int, values: Sequence[float]) -> bool:
        """Complete a trial; return whether it was still ours."""
        return self._close(number, "COMPLETE", list(values))

    def prune(self, number: int) -> bool:
        """End a trial that was stopped early; return whether it was still ours."""
        return self._close(number, "PRUNED")

    def fail(self, number: int) -> bool:
        """End a trial whose job failed, which counts; return whether it was still ours."""
        with suppress(Exception):
            self._ours[number].set_user_attr(ENDED, "failed")
        return self._close(number, "FAIL")

    def best(self) -> list[tuple[int, Mapping[str, Any], list[float]]]:
        """Return number, parameters and values of the trials that no other one dominates.

        Of several with the same overrides, the first.
        """
        found: dict[tuple[str, ...], Any] = {}
        for trial in sorted(self._study.best_trials, key=lambda trial: trial.number):
            found.setdefault(tuple(self._written(trial.params)), trial)
        return [(t.number, t.params, list(t.values)) for t in found.values()]

    def close(self) -> None:
        """Let go of the database."""
        close_storage(self._storage)

    def _own(self, trial: Any) -> None:
        marks = {OWNER: self._owner, FOLDER: self._folder, BEAT: time.time()}
        for key, value in (marks | {CONFIGS: self._settings.configs}).items():
            trial.set_user_attr(key, value)
        with self._lock:
            self._ours[trial.number] = trial

    def _close(self, number: int, state: str, values: list[float] | None = None) -> bool:
        with self._lock:
            trial = self._ours.pop(number)
        states = self._optuna.trial.TrialState
        try:
            self._study.tell(trial, values, state=states[state] if values is None else None)
        except (ValueError, RuntimeError):  # ended by another process: our lease was over
            if not self._storage.get_trial(trial._trial_id).state.is_finished():
                raise
            return False
        return True

    def _counts(self) -> tuple[int, int]:
        """Return how many trials are done, and how many more are admitted."""
        trials = self._study.get_trials(deepcopy=False)
        done = sum(
            t.state.name in ("COMPLETE", "PRUNED") or t.user_attrs.get(ENDED) == "failed"
            for t in trials
        )
        running = sum(
            t.state.name == "RUNNING" and ADMITTED in t.user_attrs and ENDED not in t.user_attrs
            for t in trials
        )
        return done, running

    def _trials(self, state: str) -> list[Any]:
        states = self._optuna.trial.TrialState
        return self._study.get_trials(deepcopy=False, states=(states[state],))

    def _give_up_dead(self) -> None:
        """Fail the trials of processes that gave no sign of life, and enqueue them again."""
        now = time.monotonic()
        for trial in self._trials("RUNNING"):
            sign = (trial.user_attrs.get(OWNER), trial.user_attrs.get(BEAT))
            if sign[0] == self._owner:
                continue
            last, since = self._seen.setdefault(trial._trial_id, (sign, now))
            if last != sign:
                self._seen[trial._trial_id] = (sign, now)
            elif now - since > self._settings.lease_seconds:
                self._give_up(trial)

    def _give_up(self, trial: Any) -> None:
        tries = int(trial.user_attrs.get(TRIES, 1))
        errors = self._optuna.exceptions
        try:
            if tries >= MOST_TRIES:
                self._storage.set_trial_user_attr(trial._trial_id, ENDED, "failed")
            state = self._optuna.trial.TrialState.FAIL
            # Atomic: of several processes, one is let through.
            self._storage.set_trial_state_values(trial._trial_id, state=state)
        except (errors.UpdateFinishedTrialError, errors.StorageInternalError):
            return
        if tries < MOST_TRIES and len(trial.params) == len(self._space):
            self._study.enqueue_trial(trial.params, user_attrs={TRIES: tries + 1})

    def _overrides(self, trial: Any) -> list[str]:
        return self._written({d.key: _suggested(trial, d) for d in self._space})

    def _written(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return parameters as overrides; without those that the space does not have."""
        return [
            f"{d.key}={_text(parameters[d.key], d)}" for d in self._space if d.key in parameters
        ]


def load_optuna() -> Any:
    """Return Optuna, which prints warnings only."""
    optuna = import_extra("optuna", "optuna", "sweep")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_storage(url: str) -> Any:
    """Return a database of studies.

    Raises:
        UserError: if it can't be opened.
    """
    optuna = load_optuna()
    # Processes that share an SQLite file wait for each other.
    options = {"connect_args": {"timeout": 100}} if url.startswith("sqlite") else {}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        message = f"'{url}' needs a driver that is not installed here ({error})"
        raise UserError.of("sweep.storage", message) from error
    except Exception as error:  # of SQLAlchemy, or of a driver
        reason = str(error).strip().splitlines()[0]
        raise UserError.of("sweep.storage", f"'{url}' can't be opened ({reason})") from error


def close_storage(storage: Any) -> None:
    """Close the connections to a database."""
    storage.remove_session()
    storage.engine.dispose()


def _suggested(trial: Any, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(dimension.key, dimension.values)
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.step is None:
        return trial.suggest_float(dimension.key, low, high, log=log)
    step = 1 if log else dimension.step
    return trial.suggest_int(dimension.key, int(low), int(high), step=step, log=log)


def _text(value: Any, dimension: Dimension) -> str:
    if isinstance(dimension, Choice) or dimension.step is not None:
        return str(value)
    return written(value)


def _seeded(settings: SearchSettings) -> Any:
    """Return a sampler that is seeded anew for each trial, by its number.

    Processes that share a study then never draw the same numbers, and a sweep that goes on draws
    those that it would have drawn.
    """
    optuna = load_optuna()

    class Seeded(optuna.samplers.BaseSampler):
        def __init__(self) -> None:
            self._inner = _sampler(settings, 0)

        def before_trial(self, study: Any, trial: Any) -> None:
            self._inner = _sampler(settings, trial.number)
            self._inner.before_trial(study, trial)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self._inner.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self._inner.sample_independent(study, trial, name, distribution)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            self._inner.after_trial(study, trial, state, values)

    return Seeded()


def _sampler(settings: SearchSettings, number: int) -> Any:
    import warnings

    optuna = load_optuna()
    # Neighbouring numbers would give alike draws.
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if settings.sampler == "nsgaii":
            return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            n_startup_trials=10,
            multivariate=len(settings.objectives) < 2,
            constant_liar=True,
            seed=seed,
        )
