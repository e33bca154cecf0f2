"""What every data set that needs no files owes: its YAML tells the truth, its draws are its own."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from jlrun.data.dataset import Dataset
from jlrun.data.specs import AudioSpec, ImageSpec, TextSpec

CONF = Path(__file__).parents[2] / "conf" / "dataset"
NAMES = ("digits", "printed_digits", "multidigits", "digits_dtmf", "shapes")
NOT_ARGUMENTS = {"defaults", "_target_", "tasks", "modalities"}
SMALL: dict[str, dict[str, Any]] = {
    "printed_digits": {"per_class": 7},
    "multidigits": {"num_train": 60, "num_val": 20, "num_test": 30},
    "shapes": {"num_train": 72, "num_test": 36},
}


def read_yaml(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text())


def target(name: str) -> Any:
    module, _, function = read_yaml(name)["_target_"].rpartition(".")
    return getattr(import_module(module), function)


def load(name: str, **changes: Any) -> Dataset:
    return target(name)(**SMALL.get(name, {}), **changes)


def every_row(dataset: Dataset) -> dict[str, torch.Tensor]:
    splits = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    columns: dict[str, torch.Tensor] = {}
    for split, rows in splits.items():
        if rows is not None:
            batch = rows.fetch(torch.arange(len(rows)))
            columns |= {f"{split} {name}": x for name, x in batch.inputs.items()}
            columns |= {f"{split} {name}": y for name, y in batch.targets.items()}
    return columns


@pytest.mark.parametrize("name", NAMES)
def test_yaml_shows_every_default(name: str) -> None:
    arguments = {k: v for k, v in read_yaml(name).items() if k not in NOT_ARGUMENTS}
    signature = inspect.signature(target(name)).parameters
    defaults = {
        k: list(p.default) if isinstance(p.default, tuple) else p.default
        for k, p in signature.items()
        if k not in NOT_ARGUMENTS
    }
    assert arguments == defaults


@pytest.mark.parametrize("name", NAMES)
def test_yaml_names_tasks_and_modalities(name: str) -> None:
    dataset, config = load(name), read_yaml(name)
    assert set(config["modalities"]) <= set(dataset.modalities)  # it may leave some to be asked for
    assert list(config["tasks"]) == list(dataset.classes) == list(dataset.train.targets)


@pytest.mark.parametrize("name", NAMES)
def test_first_line_of_the_yaml_describes_it(name: str) -> None:
    first = (CONF / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ")
    assert len(first) <= 100


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_as_the_specs_say(name: str) -> None:
    dataset = load(name)
    inputs = dataset.train.fetch(torch.tensor([0, 5, 3])).inputs
    assert list(inputs) == list(dataset.modalities)
    for modality, spec in dataset.modalities.items():
        x = inputs[modality]
        if isinstance(spec, ImageSpec):
            assert x.dtype == torch.uint8
            assert x.shape == (3, spec.channels, spec.height, spec.width)
            assert spec.mean == spec.std == ()
        elif isinstance(spec, AudioSpec):
            assert x.dtype == torch.float32
            assert x.shape == (3, spec.num_samples)
        elif isinstance(spec, TextSpec):
            assert x.dtype == torch.int64
            assert x.shape == (3, spec.length)
            assert int(x.max()) < spec.num_tokens


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_classes_that_all_occur(name: str) -> None:
    dataset = load(name)
    for task, classes in dataset.classes.items():
        assert dataset.train.targets[task].dtype == torch.int64
        assert dataset.train.targets[task].unique().tolist() == list(range(len(classes)))


@pytest.mark.parametrize("name", NAMES)
def test_same_rows_again_whatever_the_global_generator(name: str) -> None:
    torch.manual_seed(1)
    first = every_row(load(name))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = every_row(load(name))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(x, second[column]) for column, x in first.items())


@pytest.mark.parametrize("name", [n for n in NAMES if n != "digits"])
def test_another_seed_draws_other_images(name: str) -> None:
    first, second = every_row(load(name, seed=0)), every_row(load(name, seed=1))
    assert not torch.equal(first["train image"], second["train image"])
