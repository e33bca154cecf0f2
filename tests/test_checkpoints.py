from pathlib import Path

import pytest
import torch
from torch import nn

from jlrun import checkpoints
from jlrun.errors import UserError


def model(width: int = 3) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def test_weights_and_state_come_back(tmp_path: Path) -> None:
    saved, other = model(), model()
    nn.init.zeros_(other[0].weight)  # pyright: ignore[reportArgumentType, reportIndexIssue]
    state = {"step": 3, "best": None, "tensors": {"a": torch.arange(3)}}
    checkpoints.save(tmp_path / "last", saved, state)
    checkpoints.load_model(tmp_path / "last", other)
    loaded = checkpoints.load_state(tmp_path / "last")
    assert same(saved, other)
    assert torch.equal(loaded["tensors"]["a"], torch.arange(3))
    assert (loaded["step"], loaded["best"]) == (3, None)


def test_saving_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    for step in range(3):
        checkpoints.save(tmp_path / "last", model(), {"step": step})
    assert checkpoints.load_state(tmp_path / "last")["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


@pytest.mark.parametrize("renames_done", [0, 1])
def test_a_kill_while_saving_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames_done: int
) -> None:
    checkpoints.save(tmp_path / "last", model(), {"step": 1})
    replace, calls = checkpoints.os.replace, []

    def killed(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) > renames_done:
            raise SystemExit
        replace(source, target)

    monkeypatch.setattr(checkpoints.os, "replace", killed)
    with pytest.raises(SystemExit):
        checkpoints.save(tmp_path / "last", model(), {"step": 2})
    monkeypatch.undo()
    assert checkpoints.exists(tmp_path / "last")
    assert checkpoints.load_state(tmp_path / "last")["step"] == 1


def test_a_missing_a_damaged_and_a_foreign_checkpoint_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint"):
        checkpoints.load_model(tmp_path / "best", model())
    checkpoints.save(tmp_path / "best", model(), {})
    with pytest.raises(UserError, match="of another model"):
        checkpoints.load_model(tmp_path / "best", model(width=4))
    (tmp_path / "best" / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="damaged"):
        checkpoints.load_model(tmp_path / "best", model())


def test_pickled_code_is_never_executed(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple:
            return (Path(tmp_path / "executed").touch, ())

    (tmp_path / "last").mkdir()
    torch.save({"state": Harmful()}, tmp_path / "last" / "state.pt")
    with pytest.raises(UserError, match="damaged"):
        checkpoints.load_state(tmp_path / "last")
    assert not (tmp_path / "executed").exists()
