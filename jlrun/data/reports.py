"""What data sets have to say of themselves, told and written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jlrun.data.dataset import DatasetReport
from jlrun.files.atomic import write_text


def told(accounts: Mapping[str, DatasetReport]) -> list[str]:
    """Return the lines of all data sets, each with the name of its stream."""
    return [f"{name}: {line}" for name, account in accounts.items() for line in account.lines(name)]


def warnings(accounts: Mapping[str, DatasetReport]) -> list[str]:
    """Return what makes the scores of data sets doubtful, each with the name of its stream."""
    return [f"{name}: {line}" for name, account in accounts.items() for line in account.warnings()]


def write_accounts(accounts: Mapping[str, DatasetReport], directory: Path) -> None:
    """Write the files of all data sets into a run directory.

    Those of the target, or of the only data set, have the plain names.
    """
    for name, account in accounts.items():
        plain = name == "target" or len(accounts) == 1
        for file, content in account.files().items():
            path = Path(file)
            own = f"{path.stem}_{name.replace('.', '_')}{path.suffix}"
            write_text(directory / (file if plain else own), content)
