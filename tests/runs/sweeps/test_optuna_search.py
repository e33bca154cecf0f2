"""Searches by Optuna: exactly as many trials as asked for, whoever dies, and directions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from jlrun.errors import Pruned, UserError
from jlrun.runs.sweeps.launch import launch
from jlrun.runs.sweeps.pruning import PruningRecorder
from jlrun.runs.sweeps.searched_scores import directions, objective_values
from jlrun.runs.sweeps.shared_study import MOST_TRIES, SearchSettings, SharedStudy, close_storage
from jlrun.runs.sweeps.space import Choice, Interval
from jlrun.training.recorder import PhaseInfo, Position
from tests.runs.sweeps import stub

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

SPACE = (Interval("lambda_", 0.1, 10, log=True), Choice("weighting", ("equal", "dwa")))
RESULT = {
    "objective": {"name": "val/mean_score", "value": 0.8, "direction": "maximize"},
    "val": {"digit": {"accuracy": 0.7, "loss": 0.5}},
    "cost": {"train_seconds": 3.0},
}


def _settings(storage: str, **changes: Any) -> SearchSettings:
    values: dict[str, Any] = {
        "storage": storage,
        "name": "study",
        "objectives": (),
        "sampler": "random",
        "seed": 0,
        "trials": 12,
        "lease_seconds": 2.0,  # a busy machine may let a process wait for a while
    }
    return SearchSettings(**(values | changes))


def _work(storage: str, folder: str, die_at: int | None = None) -> None:
    """Do trials as a process of a sweep does; kill it at one of them."""
    study = SharedStudy(_settings(storage), ["maximize"], folder, SPACE)
    with study.alive():
        for turn in range(1000):
            try:
                asked = study.ask()
            except StopIteration:
                return
            if asked is None:
                time.sleep(0.02)
                continue
            if turn == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            study.tell(asked[0], [float(asked[1][0].partition("=")[2])])


def _in_processes(storage: str) -> list[int]:
    SharedStudy(_settings(storage), ["maximize"], "none", SPACE).close()  # makes the tables
    children, ends = [], []
    for folder, die_at in (("b", 2), ("a", None), ("c", None)):
        child = os.fork()
        if child == 0:
            try:
                _work(storage, folder, die_at)
            finally:
                os._exit(0)
        if die_at is None:
            children.append(child)
        else:  # or the others might leave it nothing to die of
            ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return [*ends, *(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)]


def _check_exactly(storage: str) -> None:
    with closing(SharedStudy(_settings(storage), ["maximize"], "none", SPACE)) as study:
        trials = study._study.get_trials()
    states = [trial.state.name for trial in trials]
    assert states.count("COMPLETE") == 12
    assert "RUNNING" not in states
    assert any(trial.user_attrs.get("tries") == 2 for trial in trials), "tried again"
    numbers = [t.params["lambda_"] for t in trials if t.state.name == "COMPLETE"]
    assert len(set(numbers)) == 12, "no two processes draw the same"


def test_processes_that_share_a_study_complete_exactly_as_many_though_one_dies(
    tmp_path: Path,
) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    assert _in_processes(storage) == [-signal.SIGKILL, 0, 0]
    _check_exactly(storage)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """A server of the system's PostgreSQL, which does not run as root."""
    pytest.importorskip(
        "psycopg", reason="the driver of PostgreSQL is not installed", exc_type=ImportError
    )
    found = sorted(glob("/usr/lib/postgresql/*/bin"))
    if not found or (os.geteuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("PostgreSQL is not installed on this system")
    data, binaries = tmp_path / "data", found[-1]
    data.mkdir()
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(data, "postgres")
        for folder in (tmp_path, *list(tmp_path.parents)[:3]):  # of a worker, too
            folder.chmod(0o755)

    def run(*arguments: str) -> None:
        subprocess.run(
            [*user, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60
        )

    run(f"{binaries}/initdb", "-D", str(data), "-U", "jlrun", "-A", "trust", "-N")
    options = f"-c listen_addresses='' -k {data} -c fsync=off"
    run(f"{binaries}/pg_ctl", "-D", str(data), "-w", "-l", f"{data}/log", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://jlrun@/postgres?host={data}"
    finally:
        run(f"{binaries}/pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def test_the_same_holds_with_postgresql(postgresql: str) -> None:
    assert _in_processes(postgresql) == [-signal.SIGKILL, 0, 0]
    _check_exactly(postgresql)


def test_parameters_whose_process_always_dies_are_given_up(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    settings, used = _settings(storage, trials=1, lease_seconds=0.01), ExitStack()
    asked = set()
    for _ in range(MOST_TRIES):
        dead = used.enter_context(closing(SharedStudy(settings, ["maximize"], "dead", SPACE)))
        for _ in range(100):
            found = dead.ask()
            if found is not None:
                asked.add(tuple(found[1]))
                break
            time.sleep(0.01)
    assert len(asked) == 1, "the same parameters each time"
    last = used.enter_context(closing(SharedStudy(settings, ["maximize"], "last", SPACE)))
    assert last.ask() is None
    time.sleep(0.02)
    with used, pytest.raises(StopIteration):
        last.ask()


def test_nobody_waits_for_the_score_of_a_dead_process(tmp_path: Path) -> None:
    settings = _settings(f"sqlite:///{tmp_path / 'study.db'}", lease_seconds=0.1)
    space = (Choice("weighting", ("equal",)),)
    with closing(SharedStudy(settings, ["maximize"], "dead", space)) as dead:
        assert dead.ask() == (0, ["weighting=equal"])
    with closing(SharedStudy(settings, ["maximize"], "alive", space)) as study:
        asked = study.ask()
        assert asked is not None
        for _ in range(100):
            if (twin := study.twin(*asked)) is None:
                break
            time.sleep(0.02)
    assert twin is None, "it was given up, and the other trains itself"


def test_a_sweep_finds_the_best_and_goes_on_with_its_own_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = ["mode=multitask", "lambda_=tag(log,interval(0.1,10))", "sweep=optuna"]
    sweep += ["sweep.pruner=none", "hydra.sweep.dir=sweep"]
    child = os.fork()
    if child == 0:
        (tmp_path / "sweep").mkdir()
        (tmp_path / "sweep" / "kill_seed_0").touch()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(launch([*sweep, "sweep.trials=4"], function=stub.job))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert launch([*sweep, "sweep.trials=4"], function=stub.job) == 0
    assert (tmp_path / "sweep" / stub.DONE).read_text().split() == ["0", "1", "2", "3"]
    jobs = json.loads((tmp_path / "sweep" / "summary.json").read_text())["jobs"]
    best = max(jobs, key=lambda job: job["scores"]["val/mean_score"])
    said = capsys.readouterr().out
    assert f"best: job {best['name']}: {best['overrides'][-1]}  val/mean_score" in said


def test_equal_trials_train_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = ["mode=multitask", "lambda_=1,2", "sweep=optuna", "sweep.pruner=none"]
    sweep += ["sweep.trials=6", "hydra.sweep.dir=sweep"]
    assert launch(sweep, function=stub.job) == 0
    said = capsys.readouterr().out
    trained = (tmp_path / "sweep" / stub.DONE).read_text().split()
    assert len(trained) == 2
    assert len([line for line in said.splitlines() if " is as job " in line]) == 4
    assert said.count("best: job ") == 1, "the same parameters are named once"
    assert launch([*sweep[:-2], "sweep.trials=7", sweep[-1]], function=stub.job) == 0
    more = capsys.readouterr().out
    assert "complete already: 6 of 7 trials" in more
    assert "(1 of 1)" in more
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/sweep/study.db")
    assert [trial.value == float(trial.params["lambda_"]) for trial in study.trials] == [True] * 7
    close_storage(study._storage._backend)


def test_a_search_without_validation_rows_is_refused_before_its_first_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = ["mode=multitask", "lambda_=interval(1,2)", "sweep=optuna", "sweep.trials=1"]
    sweep += ["dataset.val_fraction=0", "sweep.pruner=none"]
    with pytest.raises(UserError, match=r"^dataset\.val_fraction: 0 leaves no validation rows"):
        launch(sweep, function=stub.job)
    assert not list(tmp_path.iterdir())
    assert launch([*sweep, "sweep.objectives=[cost/train_seconds]"], function=stub.job) == 0


def test_directions_are_those_of_the_scores_and_nothing_else_is_an_objective() -> None:
    names = ("val/mean_score", "val/digit/accuracy", "val/digit/loss", "cost/train_seconds")
    assert directions(()) == ["maximize"]
    assert directions(names) == ["maximize", "maximize", "minimize", "minimize"]
    assert objective_values(RESULT, names) == (0.8, 0.7, 0.5, 3.0)
    assert objective_values(RESULT, ()) == (0.8,)
    with pytest.raises(UserError, match=r"no '.*accurcy'\. Did you mean 'val/digit/accuracy'"):
        objective_values(RESULT, ["val/digit/accurcy"])
    with pytest.raises(UserError, match="without a validation score to search by"):
        objective_values({**RESULT, "objective": None}, ())
    undefined = {"objective": {"value": float("nan"), "direction": "maximize"}}
    assert objective_values(undefined, ()) is None
    falling = {"objective": {"name": "val/loss", "value": 1.0, "direction": "minimize"}}
    with pytest.raises(UserError, match="is to be minimized, the study maximizes"):
        objective_values(falling, ())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [([], "there is nothing to search"), (["seed=1,2"], "would keep the luckiest seed")],
)
def test_what_is_no_space(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        launch(["mode=multitask", "sweep=optuna", *overrides])


def test_a_study_of_other_objectives_is_not_mixed_with(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    SharedStudy(_settings(storage), ["maximize"], "a", SPACE).close()
    costs = _settings(storage, objectives=("cost/train_seconds",))
    with pytest.raises(UserError, match="has other objectives"):
        SharedStudy(costs, ["minimize"], "a", SPACE)


def test_bad_databases_are_one_line() -> None:
    for url in ("sqlite:////nowhere/study.db", "oracle+none://x/y", "nothing"):
        with pytest.raises(UserError, match=r"sweep\.storage: '"):
            SharedStudy(_settings(url), ["maximize"], "a", SPACE)


class _Trial:
    def __init__(self, pruned: bool) -> None:
        self.reports: dict[int, float] = {}
        self._pruned = pruned

    def report(self, value: float, step: int) -> None:
        self.reports[step] = value

    def should_prune(self) -> bool:
        return self._pruned


def test_a_run_is_pruned_in_its_last_phase_after_the_warm_up() -> None:
    trial = _Trial(pruned=True)
    recorder = PruningRecorder(trial, "finetune", 1, lambda: None)
    recorder.begin_phase(PhaseInfo("main", "finetune", 4, 10, 0, 0))
    scores = {"train/total_loss": 9.0, "val/digit/accuracy": 0.5, "val/depth/mae": 0.3}
    recorder.epoch(Position("main", "pretrain", 3, 30), scores, best=True)
    recorder.epoch(Position("scratch", "finetune", 3, 30), scores, best=True)
    recorder.epoch(Position("main", "finetune", 1, 10), scores, best=True)
    assert trial.reports == {1: pytest.approx(0.1)}
    recorder.epoch(Position("main", "finetune", 4, 40), scores, best=True)  # it is over anyway
    with pytest.raises(Pruned, match="pruned after epoch 2"):
        recorder.epoch(Position("main", "finetune", 2, 20), scores, best=True)
