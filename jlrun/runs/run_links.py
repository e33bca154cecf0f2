"""Links in the folder of a run that lead out of it: what is written there would land elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from jlrun.errors import Problem, UserError


def refuse_links(directory: Path) -> None:
    """Refuse to write into a folder whose files or folders are links to outside of it.

    The folder itself may be one, and so may what is above it. One that is absent has none.

    Raises:
        UserError: with all such links.
    """
    home = directory.resolve()
    problems = []
    for folder, folders, files in os.walk(directory, followlinks=False):
        for path in (Path(folder, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                message = f"is a link to '{os.readlink(path)}', outside of the run: put what it "
                problems.append(Problem(str(path), f"{message}leads to in its place"))
    if problems:
        raise UserError(problems)
