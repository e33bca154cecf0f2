"""Every value of a sweep is checked before the first job."""

from __future__ import annotations

from pathlib import Path

import pytest

from jlrun.config.compose import hydra_state, make_loader
from jlrun.errors import UserError
from jlrun.runs.sweeps.variants import checked_variants, variants_of


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _variants(*overrides: str) -> list[list[str]]:
    with hydra_state():
        return variants_of(make_loader(), list(overrides))


def test_each_value_occurs_once_beside_the_first_of_the_others() -> None:
    assert _variants("a=1,2", "b=x", "c=p,q,r") == [
        ["a=1", "b=x", "c=p"],
        ["a=2", "b=x", "c=p"],
        ["a=1", "b=x", "c=q"],
        ["a=1", "b=x", "c=r"],
    ]


def test_ends_stand_for_ranges_and_names_for_globs() -> None:
    assert _variants("seed=range(0,5)") == [["seed=0"], ["seed=4"]]
    assert _variants("seed=3,0,12,7") == [["seed=3"], ["seed=12"]]
    assert _variants("seed=0,x,2") == [["seed=0"], ["seed=x"], ["seed=2"]]
    assert _variants("lr=interval(0.1,0.5)") == [["lr=0.1"], ["lr=0.5"]]
    assert _variants("optimizer=glob(ad*)") == [["optimizer=adam"], ["optimizer=adamw"]]


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (["weighting=equal,dwaa"], ["weighting: there is no option 'dwaa'. Did you mean 'dwa'?"]),
        (["epochs=1,x,y"], ["epochs: 'x' is not a whole", "epochs: 'y' is not a whole number"]),
        (["seed=0,1", "optimizer.lrr=1"], ["optimizer.lrr: there is no key 'lrr'."]),
        (["hydra.run.dir=a,b"], ["hydra.run.dir: Hydra's own settings cannot be swept over"]),
        (["optimizer=glob(x*)"], ["optimizer: 'optimizer=glob(x*)' has no values to sweep over"]),
        (["seed"], ["seed: not of the form KEY=VALUE."]),
    ],
)
def test_all_wrong_values_are_told_once(overrides: list[str], messages: list[str]) -> None:
    with pytest.raises(UserError) as raised:
        checked_variants(["mode=multitask", *overrides])
    told = [str(problem) for problem in raised.value.problems]
    assert len(told) == len(messages)
    assert all(message in problem for message, problem in zip(messages, told, strict=True))
