"""Config groups and their options as a frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jlrun.config.options import chosen_groups, package_folder, read_groups, user_folders

if TYPE_CHECKING:
    import pandas as pd


def options_frame(groups: Sequence[str], config_dir: str | os.PathLike[str] | None) -> pd.DataFrame:
    """Return the options of groups; arguments and errors as in `jlrun.ls`."""
    import pandas as pd

    folder = None if config_dir is None else os.fspath(config_dir)
    found = read_groups([package_folder(), *user_folders(folder)])
    rows = [
        (group, option.name, option.description)
        for group in chosen_groups(found, groups)
        for option in found[group].values()
    ]
    return pd.DataFrame(rows, columns=["group", "option", "description"])
