"""The command: options, verbs, exit codes, and what it does not import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jlrun
from jlrun.cli.main import main
from jlrun.config.trust import VARIABLE, trusted_packages
from jlrun.errors import Interrupted, RunError, UserError
from jlrun.runs import execution


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _executing(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> list[Any]:
    """Replace the run by ``outcome``, a status or an exception; return what it is called with."""
    calls: list[Any] = []

    def execute(composed: Any, watched_by: object = None) -> Any:
        calls.append(composed)
        if isinstance(outcome, BaseException):
            raise outcome
        return SimpleNamespace(status=outcome)

    monkeypatch.setattr(execution, "execute", execute)
    return calls


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["help"], ["mode=x", "--help"]])
def test_help_is_short_and_real(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "jlrun mode=transfer" in text
    assert "--multirun" in text
    assert "outputs/<mode>/" in text
    assert "multimodal, multitask, transfer" in text
    assert len(text.splitlines()) < 75
    assert max(map(len, text.splitlines())) <= 100


def test_alone_it_shows_the_next_step(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def said() -> str:
        assert main([]) == 0
        return capsys.readouterr().out

    assert "jlrun mode=transfer" in said()
    (tmp_path / "my houses.csv").touch()
    assert "jlrun init-config 'my houses.csv'" in said()
    run = tmp_path / "outputs/transfer/a"
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    assert "jlrun resume outputs/transfer/a" in said()
    (run / "result.json").write_text('{"status": "completed"}', encoding="utf-8")
    assert "jlrun report outputs/transfer/a" in said()
    (run / "result.json").write_text("{", encoding="utf-8")
    assert "jlrun resume outputs/transfer/a" in said()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-cn", "x", "mode=transfer"], "experiment=NAME"),
        (["--config-name=x"], "experiment=NAME"),
        (["--config-path", "x"], "--config-dir DIR"),
        (["--shell-completion", "install=bash"], "jlrun completion"),
        (["hydra.job.chdir=true"], "leave it out"),
        (["hydra/launcher=joblib", "-m", "seed=0,1"], "pip install hydra-joblib-launcher"),
        (["hydra/job_logging=colorlog"], "pip install hydra_colorlog"),
    ],
)
def test_what_hydra_has_and_jlrun_has_not_is_named(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jlrun: {arguments[0].partition('=')[0]}: ")
    assert expected in line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jlrun {jlrun.__version__}\n"


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        ("completed", 0, ""),
        ("failed", 1, ""),
        (RunError("out of memory"), 1, "jlrun: out of memory\n"),
        (UserError.of("data_root", "is empty"), 2, "jlrun: data_root: is empty\n"),
        (Interrupted("resume it"), 130, "jlrun: resume it\n"),
        (KeyboardInterrupt(), 130, "jlrun: interrupted\n"),
    ],
)
def test_exit_codes(
    outcome: Any,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (composed,) = _run_once(monkeypatch, outcome, code)
    assert composed.config["mode"] == "multitask"
    assert composed.overrides == ["mode=multitask", "seed=3"]
    assert capsys.readouterr().err == said


def _run_once(monkeypatch: pytest.MonkeyPatch, outcome: Any, code: int) -> list[Any]:
    calls = _executing(monkeypatch, outcome)
    assert main(["mode=multitask", "seed=3"]) == code
    return calls


def test_a_bug_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _executing(monkeypatch, ZeroDivisionError("no rows"))
    assert main(["mode=multitask"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "your own code failed: ZeroDivisionError: no rows" in said


def test_several_problems_are_a_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode=trasnfer", "optimizer.lr=abc"]) == 2
    assert capsys.readouterr().err == (
        "jlrun: 2 problems in the configuration\n"
        "  mode: there is no option 'trasnfer'. Did you mean 'transfer'?\n"
        "  optimizer.lr: 'abc' is not a number\n"
    )


@pytest.mark.parametrize("variable", ["JLRUN_DEBUG", "HYDRA_FULL_ERROR"])
def test_a_traceback_only_on_demand(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["moed=transfer"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv(variable, "1")
    assert main(["moed=transfer"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resum", "x"], "resum: there is no such verb. Did you mean 'jlrun resume'?"),
        (["seed=1", "check"], "check: a verb comes first: jlrun check …"),
        (["--cgf", "job"], "there is no option '--cgf'. Did you mean '--cfg'?"),
        (["--cfg", "jbo"], "argument -c/--cfg: invalid choice: 'jbo'"),
        (["--config-dir", "nowhere"], "--config-dir: there is no folder 'nowhere'"),
        (["--trust"], "argument --trust: expected one argument"),
        (["--trust", "my.package"], "--trust: 'my.package' is not the name of a top-level"),
        (["ls", "fusin"], "there is no group 'fusin'. Did you mean 'fusion'?"),
        (["board", "nowhere"], "nowhere: there is no such folder"),
        (["check", "--port", "1"], "unrecognized arguments: --port"),
        (["resume", "nowhere"], "nowhere: there is no run here"),
        (["--cfg", "job", "--package", "x", "mode=multitask"], "--package: there is no 'x' in"),
        (["--cfg", "job", "mode=multitsk"], "mode: there is no option 'multitsk'."),
    ],
)
def test_wrong_arguments_give_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_the_config_is_shown_without_checking_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cfg", "job", "mode=multitask", "epochs=many"]) == 0
    shown = capsys.readouterr().out
    assert "epochs: many" in shown
    assert "val_shots: ${.shots}" in shown
    assert main(["--cfg", "job", "--resolve", "-p", "dataset", "mode=multitask"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# @package dataset")
    assert "val_shots: null" in shown
    assert main(["--cfg", "all", "mode=multitask"]) == 0
    assert "hydra:" in capsys.readouterr().out
    assert main(["--info", "searchpath", "mode=multitask"]) == 0
    assert "pkg://jlrun.conf" in capsys.readouterr().out


def test_trust_lasts_for_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    composed = _executing(monkeypatch, "completed")
    arguments = ["mode=multitask", "--trust", "mine", "seed=1", "--trust=yours"]
    assert main(arguments) == 0
    assert composed[0].overrides == ["mode=multitask", "seed=1"]
    assert VARIABLE not in os.environ
    assert "mine" not in trusted_packages()


def test_check_says_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mode=multitask"]) == 0
    assert capsys.readouterr().out.startswith("OK: ")
    assert main(["check", "-m", "mode=multitask", "weighting=equal,dwa", "seed=0,1,2"]) == 0
    assert "3 configurations" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ls"], ["--cfg", "job", "mode=multitask"], ["moed=x"], ["ls", "x"]]
)
def test_the_fast_paths_import_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from jlrun.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(10 + code)"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False)
    assert run.returncode in {10, 12}, run.stderr.decode()


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m jlrun ls | head -1"
    run = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout == "backbone/audio\n"


def test_the_package_runs_as_a_module_and_has_a_function_called_run() -> None:
    code = "import jlrun.runs.execution, jlrun, sys; assert callable(jlrun.run)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(UserError, match="Did you mean 'mode'"):
        jlrun.run(["moed=transfer"])
    with pytest.raises(AttributeError):
        _ = jlrun.nothing  # pyright: ignore[reportAttributeAccessIssue]
