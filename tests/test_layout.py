"""The floor plan: every folder is a package, and few modules stand in no room."""

from __future__ import annotations

from pathlib import Path

import jlrun

PACKAGE = Path(jlrun.__file__).parent
MOST_LOOSE = 9


def test_modules_stand_in_packages_and_few_in_no_room() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    without = [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert without == [], "a folder of modules needs an __init__.py"
    loose = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert len(loose) <= MOST_LOOSE, loose
