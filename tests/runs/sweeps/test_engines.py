"""Sweeps on other engines, for real: submitit's local executor, and Ray on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import jlrun
from jlrun import extras
from jlrun.config.sweep_section import SweepSettings
from jlrun.errors import UserError
from jlrun.runs.sweeps import launcher, variants
from jlrun.runs.sweeps.ended import SweepJob, Watcher
from jlrun.runs.sweeps.launch import launch
from jlrun.runs.sweeps.remote_job import JobFiles
from jlrun.runs.sweeps.slurm_pool import SlurmPool
from tests.runs.sweeps import stub

REPOSITORY = str(Path(jlrun.__file__).parents[1])
SUBMITIT = ["sweep=slurm", "sweep.cluster=local", "sweep.jobs=2"]
RAY = ["sweep=ray", "sweep.cpus=1"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes find the stub of a job, which needs no PyTorch."""
    monkeypatch.setenv("PYTHONPATH", REPOSITORY)
    monkeypatch.setattr(launcher, "PRELOADED", ())
    monkeypatch.setattr(variants, "checked_variants", lambda overrides, config_dir: [])


def _result(job: int) -> dict[str, Any]:
    return json.loads(Path("sweep", str(job), "result.json").read_text())


def _lose_two_of_three_jobs(engine: list[str]) -> None:
    sweep = ["mode=multitask", "seed=1,2,3", "hydra.sweep.dir=sweep", *engine]
    Path("sweep").mkdir()
    Path("sweep", "kill_seed_1").touch()
    Path("sweep", "kill_worker_seed_2").touch()
    assert launch(sweep, function=stub.job) == 1
    assert _result(0)["error"] == "the process of this job was killed by SIGKILL"
    assert _result(1)["error"].startswith("the process of this job was killed")
    assert _result(2)["status"] == "completed"
    assert Path("sweep", stub.DONE).read_text().split() == ["2"]
    assert launch(sweep, function=stub.job) == 0
    assert sorted(Path("sweep", stub.DONE).read_text().split()) == ["0", "1", "2"]


@pytest.mark.usefixtures("stubs")
def test_a_killed_process_of_submitit_costs_its_job_alone() -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'jlrun[slurm]'")
    _lose_two_of_three_jobs(SUBMITIT)


@pytest.mark.usefixtures("stubs")
@pytest.mark.filterwarnings("ignore")  # of Ray
def test_a_killed_worker_of_ray_costs_its_job_alone() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'jlrun[ray]'")
    _lose_two_of_three_jobs(RAY)


@pytest.mark.slow
def test_a_preempted_job_resumes_in_its_folder_and_ends_as_if_it_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'jlrun[slurm]'")
    run = ["mode=multitask", "epochs=8", "patience=null", "baselines=false", "references=false"]
    run += ["engine.threads=1", "recorder.figures=false", "recorder.progress=none"]
    run += ["recorder.checkpoint_seconds=1000", "seed=1"]
    monkeypatch.setattr(variants, "checked_variants", lambda overrides, config_dir: [])
    preempted: list[str] = []

    def preempt() -> None:
        """Signal submitit's task as SLURM does, once the run has recorded an epoch."""
        metrics = Path("sweep", "0", "metrics.csv").absolute()
        while not (metrics.is_file() and "val/" in metrics.read_text()):
            time.sleep(0.02)
        controller = json.loads(Path("sweep", "engine", "0", "job.json").read_text())["id"]
        children = Path(f"/proc/{controller}/task/{controller}/children").read_text()
        os.kill(int(children.split()[0]), signal.SIGUSR2)
        preempted.append(controller)

    signaller = threading.Thread(target=preempt, daemon=True)
    signaller.start()
    assert launch([*run, *SUBMITIT, "hydra.sweep.dir=sweep"]) == 0
    assert preempted
    log = Path("sweep", "engine", "0", f"{preempted[0]}_0_log.out").read_text()
    assert "this job is preempted" in log
    assert log.count("Starting with") == 2
    whole = jlrun.run([*run, "hydra.run.dir=whole"])
    assert _result(0)["test"] == json.loads(json.dumps(whole.test))
    folders = Path("sweep", "0"), Path("whole")
    ours, theirs = (load_file(f / "checkpoints/best/model.safetensors") for f in folders)
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    assert _scores(folders[0]) == _scores(folders[1])


def _scores(run: Path) -> list[str]:
    return [line for line in (run / "metrics.csv").read_text().splitlines() if ",val/" in line]


class _Ignore(Watcher):
    def started(self, job: SweepJob) -> None:
        pass

    def ended(self, end: object) -> None:
        pass


def test_what_slurm_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'jlrun[slurm]'")
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    asked = {"minutes": 90.5, "cpus": 3, "gpus": 2.0, "memory_gb": 1.5, "requeues": 7}
    options = {"partition": "gpu", "mail-type": "END"}
    settings = SweepSettings(kind="grid", jobs=1, new=False, engine="slurm", slurm=options, **asked)
    pool = SlurmPool(settings, lambda job, slot: None, _Ignore(), tmp_path, ())  # type: ignore
    executor = pool._executor(JobFiles(tmp_path, 0).folder)
    lines = executor._make_submission_file_text("command", "id").splitlines()
    expected = {"--time=91", "--cpus-per-task=3", "--gpus-per-node=2", "--mem=1536MB"}
    expected |= {"--partition=gpu", "--mail-type=END", "--signal=USR2@120"}
    assert {f"#SBATCH {option}" for option in expected} <= set(lines)
    assert executor.max_num_timeout == 7


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sweep=slurm", "sweep.slurm.partition='a\nb'"], "neither one line of text nor a number"),
        (["sweep=slurm", "sweep.slurm.ntasks_per_node=4"], "a job of a sweep is one task"),
        (["sweep=slurm", "sweep.slurm={'a b': 1}"], "'a b' is no option of sbatch"),
        (["sweep=slurm", "sweep.gpus=0.5"], "is no whole number"),
        (["sweep=slurm"], "sweep.cluster: there is no SLURM here"),
        (["sweep=ray", "sweep.cpus=0"], "sweep.cpus"),
        (["sweep/engine=rya"], "Did you mean 'ray'"),
    ],
)
def test_what_engines_do_not_take(
    overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=message):
        launch(["mode=multitask", "seed=1,2", *overrides], function=stub.job)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("engine", "library"), [("slurm", "submitit"), ("ray", "ray")])
def test_what_is_not_installed_is_named_with_its_extra(
    engine: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    message = rf"needs {library}, which is not installed here: pip install 'jlrun\[{engine}\]'"
    with pytest.raises(UserError, match=message):
        launch(["mode=multitask", "seed=1,2", f"sweep={engine}"], function=stub.job)


@pytest.mark.parametrize("setting", ["address: ray://elsewhere:1", "slurm: {prolog: evil}"])
def test_no_file_says_where_code_goes(setting: str) -> None:
    engine = "ray" if "address" in setting else "slurm"
    Path("conf", "experiment").mkdir(parents=True)
    lines = ["# @package _global_", f"defaults: [{{override /sweep: {engine}}}]"]
    Path("conf/experiment/mine.yaml").write_text("\n".join([*lines, f"sweep: {{{setting}}}"]))
    with pytest.raises(UserError, match="a file sets what a sweep would run: say it yourself"):
        launch(["mode=multitask", "experiment=mine", "seed=1,2"], function=stub.job)
