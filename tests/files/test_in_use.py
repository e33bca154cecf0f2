"""Whether a process writes to a folder, by the note that it leaves there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from jlrun.files.lock import held, in_use
from jlrun.files.run_directory import RunDirectory


def test_a_folder_is_in_use_while_its_process_lives(tmp_path: Path) -> None:
    note = RunDirectory(tmp_path).lock_holder
    assert not in_use(tmp_path)
    with held(tmp_path, "x"):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for content, expected in (
        ({"pid": os.getpid(), "host": socket.gethostname()}, True),
        ({"pid": ended.pid, "host": socket.gethostname()}, False),
        ({"pid": ended.pid, "host": "elsewhere"}, True),
        ({"pid": 10**30, "host": socket.gethostname()}, False),
        ({"host": socket.gethostname()}, False),
        ([], False),
    ):
        note.write_text(json.dumps(content))
        assert in_use(tmp_path) == expected, content
