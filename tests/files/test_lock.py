"""One process at a time writes to a folder."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.files.lock import Held, held, held_output
from jlrun.files.run_directory import RunDirectory

HOLDING = """
import sys, time
from pathlib import Path
from jlrun.files.lock import held
with held(Path(sys.argv[1]), "RUN"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_told_who_holds_it_and_a_kill_frees_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(run)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Held) as error, held(run, "RUN"):
        pass
    message = str(error.value)
    assert f"process {process.pid} on {os.uname().nodename} since 20" in message
    assert "\n" not in message
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with held(run, "RUN"):
        assert json.loads(RunDirectory(run).lock_holder.read_text())["pid"] == os.getpid()


def test_a_folder_in_which_nothing_was_written_is_removed(tmp_path: Path) -> None:
    with held(tmp_path / "a" / "b", "RUN"):
        assert RunDirectory(tmp_path / "a" / "b").lock.exists()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept").mkdir()
    with held(tmp_path / "kept", "RUN"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_output_is_held_by_a_file_beside_it_that_goes_away(tmp_path: Path) -> None:
    with held_output(tmp_path / "soup", "--output"):
        assert not (tmp_path / "soup").exists()
        with (
            pytest.raises(Held, match=r"'.*soup' is in use"),
            held_output(tmp_path / "soup", "--output"),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file/run", "file", "n" * 300])
def test_a_bad_place_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"hydra\.run.dir: '.*choose a place"),
        held(tmp_path / place, "hydra.run.dir"),
    ):
        pass
