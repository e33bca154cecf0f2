"""Errors that nobody foresaw: one line for a fault of ours, a traceback for the user's own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.cli import main as cli
from jlrun.errors import shortened

Capture = pytest.CaptureFixture[str]

OWN = """
def fail():
    return {}["key"]
"""


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    # As if the frame were of jlrun, in which no error is the user's.
    code = compile("def run(arguments):\n    raise error", cli.__file__, "exec")
    space = {"error": error}
    exec(code, space)
    monkeypatch.setattr(cli, "_run", space["run"])


def test_a_fault_is_one_line_that_says_where_its_traceback_is(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _failing(monkeypatch, KeyError("digit"))
    assert cli.main(["check"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("jlrun: KeyError: 'digit': this is a fault of jlrun")
    assert len(told.splitlines()) == 1
    file = Path(told.partition("the traceback is in ")[2].partition(";")[0])
    assert "Traceback (most recent call last)" in file.read_text()
    file.unlink()


def test_a_fault_shows_its_traceback_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("JLRUN_DEBUG", "1")
    _failing(monkeypatch, KeyError("digit"))
    assert cli.main(["check"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_users_own_code_shows_where_it_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    file = tmp_path / "own_code.py"
    file.write_text(OWN)
    space: dict[str, object] = {}
    exec(compile(OWN, str(file), "exec"), space)
    monkeypatch.setattr(cli, "_run", lambda arguments: space["fail"]())  # type: ignore[operator]
    assert cli.main(["check"]) == 1
    told = capsys.readouterr().err
    assert 'return {}["key"]' in told
    assert told.splitlines()[-1] == "jlrun: your own code failed: KeyError: 'key'"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), 2),
        (PermissionError(13, "Permission denied", "x"), 2),
        (OSError(36, "File name too long", "x" * 5000), 2),
        (OSError(28, "No space left on device", "x"), 1),
        (OSError("no number"), 1),
        (MemoryError(), 1),
    ],
)
def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, error: Exception, code: int
) -> None:
    _failing(monkeypatch, error)
    assert cli.main(["check"]) == code
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert len(told) < 300


def test_long_words_of_a_message_are_cut() -> None:
    assert shortened("a b") == "a b"
    assert shortened(f"a {'x' * 5000} b") == f"a {'x' * 100}… (5,000 characters) b"
