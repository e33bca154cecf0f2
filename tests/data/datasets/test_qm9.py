"""QM9, from small tables in the form of MoleculeNet."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.qm9 import UNITS, load_qm9, load_scales
from jlrun.data.rows import Rows
from jlrun.data.rows_to_predict import read_inputs
from jlrun.data.specs import TextSpec, spec_from_json, spec_to_json
from jlrun.errors import UserError

CONF = Path(__file__).parents[3] / "conf" / "dataset" / "qm9.yaml"
# The table's header and first molecule, methane, as published.
HEADER = (
    "mol_id,smiles,A,B,C,mu,alpha,homo,lumo,gap,r2,zpve,u0,u298,h298,g298,cv,"
    "u0_atom,u298_atom,h298_atom,g298_atom"
)
METHANE = (
    "gdb_1,C,157.7118,157.70997,157.70699,0.0,13.21,-0.3877,0.1171,0.5048,35.3641,0.044749,"
    "-40.47893,-40.476062,-40.475117,-40.498597,6.469,-395.999595,-398.64329,-401.014647,-372.471772"
)
COUNT = 30


def table() -> pd.DataFrame:
    """Molecule i is a chain of i % 5 + 1 carbons and an N, and mu is i."""
    columns, rows = HEADER.split(","), [METHANE.split(",")]
    generator = np.random.default_rng(0)
    for i in range(1, COUNT):
        numbers = generator.normal(size=len(columns) - 2)
        rows.append([f"gdb_{i + 1}", "C" * (i % 5 + 1) + "N", *map(str, numbers)])
    frame = pd.DataFrame(rows, columns=columns)
    frame["mu"] = [str(float(i)) for i in range(COUNT)]
    return frame


def write(root: Path, frame: pd.DataFrame) -> Path:
    path = root / "qm9" / "qm9.csv"
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)
    return path


def load(root: Path, **options: int) -> Dataset:
    return load_qm9(str(root), **{"num_val": 6, "num_test": 5, **options})


def molecules(rows: Rows | None, root: Path) -> list[int]:
    """Which molecules the rows are: mu, taken back to its own unit."""
    assert rows is not None
    mean, std = load_scales(str(root), num_val=6, num_test=5)["mu"]
    return (rows.targets["mu"] * std + mean).round().long().tolist()


def complaint(root: Path, **options: int) -> str:
    with pytest.raises(UserError) as caught:
        load(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tasks_are_those_of_the_yaml(tmp_path: Path) -> None:
    write(tmp_path, table())
    tasks = list(yaml.safe_load(CONF.read_text())["tasks"])
    assert load(tmp_path).classes == dict.fromkeys(tasks, ())
    assert list(UNITS) == tasks
    assert len(tasks) == 11


def test_splits_are_disjoint_complete_and_seeded(tmp_path: Path) -> None:
    write(tmp_path, table())
    dataset = load(tmp_path)
    splits = [molecules(rows, tmp_path) for rows in (dataset.train, dataset.val, dataset.test)]
    assert [len(split) for split in splits] == [19, 6, 5]
    assert sorted(chain(*splits)) == list(range(COUNT))
    again, other = load(tmp_path), load(tmp_path, seed=1)
    assert torch.equal(again.train.targets["mu"], dataset.train.targets["mu"])
    assert not torch.equal(other.train.targets["mu"], dataset.train.targets["mu"])


def test_targets_are_standardised_by_the_training_rows(tmp_path: Path) -> None:
    frame = table()
    write(tmp_path, frame)
    dataset = load(tmp_path)
    assert dataset.test is not None
    train, test = (molecules(rows, tmp_path) for rows in (dataset.train, dataset.test))
    for task in UNITS:
        y = dataset.train.targets[task]
        assert y.dtype == torch.float32
        torch.testing.assert_close(y.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(y.square().mean(), torch.tensor(1.0), atol=1e-4, rtol=0)
        values = frame[task].astype(float).to_numpy()
        expected = (values[test] - values[train].mean()) / values[train].std()
        np.testing.assert_allclose(dataset.test.targets[task].numpy(), expected, rtol=1e-4)
        mean, std = load_scales(str(tmp_path), num_val=6, num_test=5)[task]
        np.testing.assert_allclose([mean, std], [values[train].mean(), values[train].std()])


def test_a_constant_becomes_zero(tmp_path: Path) -> None:
    write(tmp_path, table().assign(cv="6.5"))
    assert load(tmp_path).train.targets["cv"].unique().tolist() == [0.0]


def test_text_is_the_characters_of_smiles(tmp_path: Path) -> None:
    frame = table()
    frame.loc[1:, "smiles"] = "c1ccccC1"
    write(tmp_path, frame)
    dataset = load(tmp_path)
    spec = dataset.modalities["text"]
    assert spec == TextSpec(("1", "C", "c"), length=8, unit="character")
    assert spec_from_json(spec_to_json(spec)) == spec
    methane = molecules(dataset.train, tmp_path).index(0)
    rows = torch.tensor([methane, (methane + 1) % len(dataset.train)])
    text = dataset.train.fetch(rows).inputs["text"]
    assert text.tolist() == [[3, 0, 0, 0, 0, 0, 0, 0], [4, 2, 4, 4, 4, 4, 3, 2]]


def test_the_vocabulary_is_that_of_the_training_rows(tmp_path: Path) -> None:
    frame = table()
    write(tmp_path, frame)
    (first, *_) = molecules(load(tmp_path).test, tmp_path)
    frame.loc[first, "smiles"] = "CCF" + "C" * 20
    write(tmp_path, frame)
    dataset = load(tmp_path)
    assert dataset.test is not None
    assert dataset.modalities["text"] == TextSpec(("C", "N"), length=6, unit="character")
    # F is unknown, and what is longer than any training string is cut.
    assert dataset.test.fetch(torch.tensor([0])).inputs["text"].tolist() == [[2, 2, 1, 2, 2, 2]]


def test_strings_to_predict_are_read_alike(tmp_path: Path) -> None:
    spec = TextSpec(("1", "C", "c"), length=8, unit="character")
    (tmp_path / "new.csv").write_text("text\nc1ccccC1\nCO\n")
    rows = read_inputs(tmp_path / "new.csv", {"text": spec}).rows.fetch(torch.arange(2))
    assert rows.inputs["text"].tolist() == [[4, 2, 4, 4, 4, 4, 3, 2], [3, 1, 0, 0, 0, 0, 0, 0]]


def test_the_length_may_be_given(tmp_path: Path) -> None:
    write(tmp_path, table())
    assert load(tmp_path, length=40).train.fetch(torch.tensor([0])).inputs["text"].shape == (1, 40)


def test_a_missing_table(tmp_path: Path) -> None:
    message = complaint(tmp_path)
    assert message.startswith(f"data_root={tmp_path}: there is no {tmp_path / 'qm9' / 'qm9.csv'}")
    assert "smiles, mu, alpha" in message
    assert "https://" in message


def test_missing_columns(tmp_path: Path) -> None:
    path = write(tmp_path, table().drop(columns=["homo", "cv"]))
    assert complaint(tmp_path).startswith(f"{path}: has no column homo, cv")


@pytest.mark.parametrize("name", ["alpha", "smiles"])
@pytest.mark.parametrize("value", ["", "nan"])
def test_a_missing_value(tmp_path: Path, name: str, value: str) -> None:
    frame = table()
    frame.loc[3, name] = value
    path = write(tmp_path, frame)
    assert complaint(tmp_path).startswith(f"{path}: row 4: {name} is missing or not a number")


@pytest.mark.parametrize("value", ["abc", "inf"])
def test_a_value_that_is_no_number(tmp_path: Path, value: str) -> None:
    frame = table()
    frame.loc[0, "u0"] = value
    assert complaint(write(tmp_path, frame).parents[1]).endswith(
        "u0 is missing or not a number; get "
        "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm9.csv"
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n1,2\n"3'])
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, table())
    path.write_bytes(content)
    assert complaint(tmp_path).startswith(f"{path}: ")


def test_too_few_molecules(tmp_path: Path) -> None:
    write(tmp_path, table())
    assert "30 molecules are too few for num_val=20 and num_test=9" in complaint(
        tmp_path, num_val=20, num_test=9
    )
