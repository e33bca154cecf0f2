import errno
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from jlrun.errors import UserError
from jlrun.models import checkpoints


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


FILES = ("model.safetensors", "state.pt", "SHA256SUMS")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("load", [checkpoints.load_tensors, checkpoints.load_state])
def test_a_flipped_bit_in_any_file_is_found(tmp_path: Path, name: str, load: Callable) -> None:
    checkpoints.save(tmp_path / "last", model(), {"step": 1})
    file = tmp_path / "last" / name
    whole = file.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 50)):
        content = bytearray(whole)
        content[at] ^= 1 << (at % 8)
        file.write_bytes(content)
        with pytest.raises(checkpoints.DamagedCheckpoint, match=name):
            load(tmp_path / "last")
    file.write_bytes(whole)
    load(tmp_path / "last")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_and_one_that_is_a_folder_are_damage(tmp_path: Path, name: str) -> None:
    checkpoints.save(tmp_path / "last", model(), {"step": 1})
    (tmp_path / "last" / name).unlink()
    with pytest.raises(checkpoints.DamagedCheckpoint, match=name):
        checkpoints.load_state(tmp_path / "last")
    (tmp_path / "last" / name).mkdir()
    with pytest.raises(checkpoints.DamagedCheckpoint, match=name):
        checkpoints.load_state(tmp_path / "last")


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "last", model(), {})
    lines = (tmp_path / "last" / "SHA256SUMS").read_text().splitlines()
    expected = [
        f"{hashlib.sha256((tmp_path / 'last' / name).read_bytes()).hexdigest()}  {name}"
        for name in FILES[:2]
    ]
    assert lines == expected


def test_one_predecessor_is_kept_and_takes_the_place_of_a_damaged_one(tmp_path: Path) -> None:
    last = tmp_path / "last"
    for step in range(3):
        checkpoints.save(last, model(), {"step": step}, keep_previous=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "last.previous"]
    assert checkpoints.load_state(checkpoints.previous(last))["step"] == 1
    (last / "state.pt").write_bytes(b"")
    with pytest.raises(UserError, match="goes on from the one before it") as damage:
        checkpoints.verify(last)
    checkpoints.go_back(last, damage.value)
    assert checkpoints.load_state(last)["step"] == 1
    (last / "state.pt").write_bytes(b"")
    with pytest.raises(UserError) as damage:
        checkpoints.verify(last)
    with pytest.raises(UserError, match="trains this anew"):
        checkpoints.go_back(last, damage.value)


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path / "last", model(), {"step": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jlrun.files.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        checkpoints.save(tmp_path / "last", model(), {"step": 2})
    assert error.value.filename.endswith("model.safetensors")
    assert checkpoints.load_state(tmp_path / "last")["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_reading_copes_with_a_checkpoint_that_is_being_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "best"
    checkpoints.save(folder, model(), {"step": 0})
    checked, steps = checkpoints._checked, iter(range(1, 4))

    def replaced_meanwhile(place: Path, name: str) -> tuple[bytes, str | None]:
        weights, _ = checked(place, name)
        step = next(steps, None)
        if step is None:
            return checked(place, name)
        checkpoints.save(folder, model(), {"step": step})
        return weights, "of two checkpoints"

    monkeypatch.setattr(checkpoints, "_checked", replaced_meanwhile)
    assert checkpoints.load_state(folder)["step"] == 3


def test_reading_changes_nothing_between_the_two_renames(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    checkpoints.save(folder, model(), {"step": 1})
    folder.rename(checkpoints.previous(folder))
    assert checkpoints.exists(folder)
    assert checkpoints.load_state(folder)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best.previous"]
