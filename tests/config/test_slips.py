"""Slips of the keyboard that are not typos of a name."""

from __future__ import annotations

import pytest

from jlrun.config import checked
from jlrun.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["seed=1", "seed=2"], "seed: given 2 times, 'seed=1' and 'seed=2'; keep one"),
        (["=3"], "=3: not of the form KEY=VALUE: the key is missing"),
        (["tasks=[digit,digit]"], "names 'digit' twice"),
        (["epochs=1000000000000"], "epochs: 1000000000000 is too large"),
        (["optimizer.lr=1e400"], "optimizer.lr: "),
    ],
)
def test_are_told(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(["mode=multitask", *overrides])
    assert expected in str(caught.value)


def test_any_optimizer_of_pytorch_by_its_path() -> None:
    for name in ("RMSprop", "Adagrad", "NAdam", "Adadelta"):
        composed = checked(["optimizer=torch", f"optimizer._target_=torch.optim.{name}"])
        assert composed.config["optimizer"]["_target_"] == f"torch.optim.{name}"
