"""Ends of runs that PyTorch's compiler breaks."""

import pytest
import torch
from torch._inductor.exc import InductorError

from jlrun.cli.main import main
from jlrun.reporting.result import read_result


@pytest.fixture
def failing_compiler(monkeypatch):
    """Make whatever is compiled fail as it does on a broken cache."""

    def fail(*_, **__):
        raise InductorError(ImportError("kernel.so: file too short"), None)

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: setattr(self, "forward", fail))


def test_a_failure_of_the_compiler_is_one_line(failing_compiler, tmp_path, capsys):
    run = tmp_path / "run"
    overrides = ["mode=multitask", "dataset.limit=60", "epochs=1", "baselines=false"]
    code = main([*overrides, "engine.compile=true", f"hydra.run.dir={run}"])
    error = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert len(error) == 1
    for part in ("file too short", "engine.compile=false", "rm -r ", f"jlrun resume {run}"):
        assert part in error[0]
    assert read_result(run)["status"] == "failed"
