"""Completion: what may stand at the end of a line, and the scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.cli.verbs import VERBS
from jlrun.cli.verbs.completion import SCRIPTS, candidates


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("jlrun weighting=fam", ["weighting=famo"]),
        ("jlrun mode=transfer dataset@target=usp", ["dataset@target=usps"]),
        ("jlrun --multirun weighting=equal,uncertainty_", ["weighting=equal,uncertainty_soft"]),
        ("jlrun engine.det", ["engine.deterministic="]),
        (
            "jlrun engine.deterministic=",
            ["engine.deterministic=true", "engine.deterministic=false"],
        ),
        ("jlrun +experiment=smo", ["+experiment=smoke"]),
        ("jlrun weighting=famo weighting.gam", ["weighting.gamma="]),
        ("jlrun weighting=equal weighting.gamm", []),
        ("jlrun backbone/im", ["backbone/image="]),
        ("jlrun repo", ["report"]),
        ("jlrun ls backbone/ta", ["backbone/tabular"]),
        ("jlrun --mul", ["--multirun"]),
        ("jlrun report ", []),  # a file
        ("jlrun check weighting=fam", ["weighting=famo"]),
        ("jlrun terms=[mm", ["terms=[mmd"]),
        ("jlrun mode=transfer 'terms=[mm", ["terms=[mmd]"]),
        ("jlrun 'terms=[dann, mm", ["terms=[dann, mmd]"]),
        ('jlrun "weighting=fam', ["weighting=famo"]),
        ("jlrun 'terms=[mmd]' weighting=fam", ["weighting=famo"]),
        ("jlrun mode=transfer repo", []),  # a verb comes first
    ],
)
def test_what_may_follow(line: str, found: list[str]) -> None:
    assert candidates(line) == found


def test_nothing_typed_yet() -> None:
    found = candidates("jlrun ")
    assert {*VERBS, "mode=", "weighting=", "epochs=", "engine."} <= {*found}
    assert "defaults=" not in found


def test_options_of_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/experiment/mine.yaml").touch()
    (tmp_path / "conf/experiment/broken.yaml").write_bytes(b"\xff: 1")
    assert candidates("jlrun experiment=mi") == ["experiment=mine"]
    assert "experiment=broken" in candidates("jlrun experiment=")


def test_one_line_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert main(["completion"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "jlrun completion bash" in line
    monkeypatch.setenv("SHELL", "/bin/odd")
    assert main(["completion"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(SCRIPTS)


def test_it_imports_neither_pytorch_nor_hydra() -> None:
    code = (
        "import sys; from jlrun.cli.main import main; main(['completion', '--line', 'jlrun w']); "
        "sys.exit(bool({'torch', 'hydra', 'yaml'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


BASH = """
eval "$(jlrun completion bash)"
complete -p jlrun
COMP_LINE='jlrun mode=transfer weighting=fam'; COMP_POINT=${#COMP_LINE}
_jlrun 2>/dev/null; printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
autoload -Uz compinit; compinit -u
eval "$(jlrun completion zsh)"
compadd() { print -rl -- "${@[4,-1]}" }
words=(jlrun mode=transfer weighting=fam); CURRENT=3
_jlrun
"""
FISH = "jlrun completion fish | source; complete -C 'jlrun mode=transfer weighting=fam'"
SHELLS = {
    "bash": (["bash", "-c", BASH], "famo"),
    "zsh": (["zsh", "-f", "-c", ZSH], "weighting=famo"),
    "fish": (["fish", "-N", "-c", FISH], "weighting=famo"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell(shell: str, tmp_path: Path) -> None:
    command, expected = SHELLS[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    program = tmp_path / "jlrun"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jlrun "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    around = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, env={**around, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == [expected], done.stderr
