"""QM9: properties of small molecules, computed by density functional theory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.moments import moments
from jlrun.data.reading.texts import tokenize
from jlrun.data.rows import TensorRows
from jlrun.data.specs import TextSpec
from jlrun.errors import UserError
from jlrun.ranges import PositiveInt
from jlrun.seeding import derive_seed

FILE = "qm9/qm9.csv"
SOURCE = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm9.csv"
SMILES = "smiles"
UNITS = {
    "mu": "D",
    "alpha": "Bohr^3",
    "homo": "Hartree",
    "lumo": "Hartree",
    "r2": "Bohr^2",
    "zpve": "Hartree",
    "u0": "Hartree",
    "u298": "Hartree",
    "h298": "Hartree",
    "g298": "Hartree",
    "cv": "cal/(mol K)",
}


def load_qm9(
    root: str,
    num_val: PositiveInt = 10_000,
    num_test: PositiveInt = 10_000,
    length: PositiveInt | None = None,
    seed: int = 0,
) -> Dataset:
    """Return the molecules as SMILES strings, with 11 properties to predict.

    Ramakrishnan et al., "Quantum chemistry structures and properties of 134 kilo molecules",
    Scientific Data 2014, in the form of MoleculeNet (Wu et al., Chemical Science 2018): the table
    ``root/qm9/qm9.csv``. There are no official splits; these follow from the seed.

    Targets are standardised by mean and standard deviation of the training rows. So mean absolute
    errors are in standard deviations of the training rows: multiply them by those of `load_scales`
    for the units of the table.

    Differs from the multi-task literature (such as Navon et al., "Multi-Task Learning as a
    Bargaining Game", ICML 2022) in: the input is a string, not a graph with coordinates, so errors
    are larger; the 3,054 molecules that failed the authors' consistency check are in the table.

    Args:
        root: the folder above ``qm9``.
        num_val: molecules for validation.
        num_test: molecules for the test; all others are for training.
        length: characters to which strings are cut or padded; None: of the longest training one.
        seed: of the splits.

    Returns:
        text int64 ``(length,)``, a token for each character that occurs in a training row; tasks
        ``mu``, ``alpha``, ``homo``, ``lumo``, ``r2``, ``zpve``, ``u0``, ``u298``, ``h298``,
        ``g298`` and ``cv``, float32.

    Raises:
        UserError: if the table is missing, lacks a column or value, or has too few rows.
    """
    path = Path(root).expanduser() / FILE
    table = _read(path)
    parts = _divide(path, len(table), num_val, num_test, seed)
    smiles, train = table[SMILES].tolist(), parts["train"].tolist()
    spec = _fit_spec([smiles[row] for row in train], length)
    text = tokenize(smiles, spec)
    targets = _standardised(table, parts["train"])
    rows = {
        name: TensorRows({"text": text[part]}, {task: y[part] for task, y in targets.items()})
        for name, part in parts.items()
    }
    return Dataset(
        train=rows["train"],
        val=rows["val"],
        test=rows["test"],
        modalities={"text": spec},
        classes=dict.fromkeys(UNITS, ()),
    )


def load_scales(
    root: str, num_val: PositiveInt = 10_000, num_test: PositiveInt = 10_000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return task -> mean and standard deviation of the training rows, in the unit of `UNITS`.

    Takes the same arguments as `load_qm9`.
    """
    path = Path(root).expanduser() / FILE
    table = _read(path)
    return _scales(table, _divide(path, len(table), num_val, num_test, seed)["train"])


def _read(path: Path) -> pd.DataFrame:
    """Return the table with all required columns, properties as finite float64."""
    if not path.is_file():
        raise UserError.of(
            f"data_root={path.parents[1]}",
            f"there is no {path}; expected MoleculeNet's table with the columns {SMILES}, "
            f"{', '.join(UNITS)}: get {SOURCE}",
        )
    try:
        table = pd.read_csv(path, dtype={SMILES: str})
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of(str(path), f"not a readable table ({reason}); get {SOURCE}") from error
    missing = [name for name in (SMILES, *UNITS) if name not in table]
    if missing:
        raise UserError.of(str(path), f"has no column {', '.join(missing)}; get {SOURCE}")
    for name in UNITS:
        table[name] = pd.Series(pd.to_numeric(table[name], errors="coerce"), dtype="float64")
        _check_column(path, name, np.isfinite(table[name].to_numpy()))
    _check_column(path, SMILES, table[SMILES].notna().to_numpy())
    return table


def _check_column(path: Path, name: str, valid: np.ndarray) -> None:
    if not valid.all():
        raise UserError.of(
            f"{path}: row {int((~valid).argmax()) + 1}",
            f"{name} is missing or not a number; get {SOURCE}",
        )


def _divide(path: Path, count: int, num_val: int, num_test: int, seed: int) -> dict[str, Tensor]:
    if count < num_val + num_test + 2:
        raise UserError.of(
            str(path),
            f"{count} molecules are too few for num_val={num_val} and num_test={num_test} and at "
            "least 2 to train on; use smaller ones",
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "qm9"))
    order = torch.randperm(count, generator=generator)
    test, val, train = order.split([num_test, num_val, count - num_test - num_val])
    return {"train": train.sort().values, "val": val.sort().values, "test": test.sort().values}


def _fit_spec(smiles: Sequence[str], length: int | None) -> TextSpec:
    characters = tuple(sorted(set("".join(smiles))))
    return TextSpec(characters, length or max(map(len, smiles)), unit="character")


def _scales(table: pd.DataFrame, train: Tensor) -> dict[str, tuple[float, float]]:
    """Return task -> mean and standard deviation of its training rows, 1 of a constant."""
    rows = table.iloc[train.numpy()]
    found = {task: moments([rows[task].to_numpy()]) for task in UNITS}
    return {task: (each.mean, each.std) for task, each in found.items()}


def _standardised(table: pd.DataFrame, train: Tensor) -> dict[str, Tensor]:
    """Return task -> float32 ``(N,)``: mean 0 and variance 1 over the rows ``train``."""
    targets = {}
    for task, (mean, std) in _scales(table, train).items():
        targets[task] = torch.from_numpy((table[task].to_numpy() - mean) / std).float()
    return targets
