"""Images of users in several domains: a folder for each domain, in it one for each class."""

from __future__ import annotations

from pathlib import Path

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_folders import (
    folder_rows,
    labelled_photos,
    shared_classes,
    subfolders,
)
from jlrun.errors import UserError, did_you_mean
from jlrun.ranges import PositiveInt


def load_domains(
    root: str,
    domain: str | None = None,
    size: PositiveInt = 64,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return the images of one domain, with the task ``label``: the name of their folder.

    The layout is ``root/<domain>/<class>/*``. The classes are those of all domains together, in the
    order of their names, so that a label has the same meaning in each. Images may be in folders
    within a class folder. There is no official split.

    Args:
        root: the folder above the domains.
        domain: name of one of its folders; None: an error that lists their names.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder that is missing or empty.
    """
    base = Path(root).expanduser()
    names = subfolders(base)
    if domain not in names:
        hint = did_you_mean(str(domain), names) or " It has no folders."
        raise UserError.of(
            f"domain={'null' if domain is None else domain}",
            f"expected the name of a folder in {base}, one per domain with classes in it.{hint}",
        )
    classes = shared_classes(base / name for name in names)
    rows = folder_rows(base / domain, classes, size)
    return labelled_photos((rows, None, None), classes, size, mean, std)
