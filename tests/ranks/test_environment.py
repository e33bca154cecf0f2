"""Ranks of SLURM's srun, by a made-up environment: no cluster is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.ranks import environment
from jlrun.ranks.environment import first_node, slurm_ranks
from jlrun.runs.restarts import forget, launch_name

# Of the second task of the second machine of `srun --nodes=2 --ntasks-per-node=2`.
TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[07,11]",
    "SLURM_JOB_NODELIST": "gpu[05-11]",
}


def test_a_task_of_srun_is_a_rank() -> None:
    found = slurm_ranks(TASK)
    assert found.pop("MASTER_PORT") == slurm_ranks(TASK | {"SLURM_PROCID": "0"})["MASTER_PORT"]
    assert found == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "gpu07",
    }


def test_steps_of_a_job_meet_at_different_ports() -> None:
    ports = {slurm_ranks(TASK | {"SLURM_STEP_ID": str(i)})["MASTER_PORT"] for i in range(30)}
    assert len(ports) == 30
    assert all(1024 < int(port) < 32768 for port in ports)


@pytest.mark.parametrize(
    "change",
    [
        {"SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_STEP_NUM_TASKS": ""},  # the script of a job of four tasks
        {"RANK": "0", "WORLD_SIZE": "4"},  # torchrun, as one task of a machine
    ],
)
def test_other_processes_are_left_alone(change: dict[str, str]) -> None:
    assert slurm_ranks(TASK | change) == {}


def test_what_the_user_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that they are put back
        monkeypatch.delenv(name)
    for name, value in (TASK | {"MASTER_PORT": "1234"}).items():
        monkeypatch.setenv(name, value)
    environment.adopt_slurm()
    assert os.environ["MASTER_PORT"] == "1234"
    assert (environment.rank(), environment.world_size()) == (3, 4)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[03-05,9],login1", "gpu03"),
        ("rack[1-2]n[4,6]-ib", "rack1n4-ib"),
        ("a-b.example.org", "a-b.example.org"),
    ],
)
def test_first_machine(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


def test_no_list_of_machines() -> None:
    with pytest.raises(UserError, match="set MASTER_ADDR"):
        first_node("")


def test_a_launch_has_the_same_name_after_a_restart() -> None:
    torchrun = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}
    name = launch_name(torchrun | {"TORCHELASTIC_RESTART_COUNT": "0"})
    assert name == launch_name(torchrun | {"TORCHELASTIC_RESTART_COUNT": "1"})
    assert name != launch_name(torchrun | {"MASTER_PORT": "29501"})
    assert launch_name(TASK) == launch_name(TASK | {"SLURM_RESTART_COUNT": "1"})
    assert launch_name(TASK) != launch_name(TASK | {"SLURM_STEP_ID": "3"})
    assert launch_name({"RANK": "1"}) is None


def test_notes_of_a_complete_run_are_deleted_and_others_kept(tmp_path: Path) -> None:
    notes = {name: tmp_path / f".launch-{name}" for name in ("own", "other", "binary")}
    notes["own"].write_text("run\n")
    notes["other"].write_text("another\n")
    notes["binary"].write_bytes(b"\xff\xfe")
    (tmp_path / "run").mkdir()
    forget(tmp_path / "run")
    assert [name for name, note in notes.items() if note.exists()] == ["other", "binary"]
