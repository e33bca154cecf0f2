"""A weight file of a stranger is read without running it, and costs no more than it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.errors import UserError
from jlrun.models.weight_files.reading import read_weights
from tests.security.hostile import Canary

WEIGHT = torch.ones(2)


def itself() -> dict[str, Any]:
    content: dict[str, Any] = {"weight": WEIGHT}
    content["state_dict"] = content["more"] = content
    return content


def laughs() -> dict[str, Any]:
    content: dict[str, Any] = {"weight": WEIGHT}
    for _ in range(40):
        content = {"a": content, "b": content}
    return content


@pytest.mark.parametrize("made", [itself, laughs])
def test_what_stands_in_many_places_is_read_once(made: Any, tmp_path: Path) -> None:
    torch.save(made(), tmp_path / "file.pt")
    (tensor,) = read_weights(tmp_path / "file.pt", "source.weights").values()
    assert torch.equal(tensor, WEIGHT)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    torch.save({"a": Canary(tmp_path / "canary")}, tmp_path / "file.pt")
    with pytest.raises(UserError, match="code that a file brings is never run"):
        read_weights(tmp_path / "file.pt", "source.weights")
    assert not (tmp_path / "canary").exists()
