"""Settings of the whole suite."""

import gc
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

# A suite makes many objects and few circles of them: to look for those after each 700 new objects
# takes a twentieth of its time.
gc.set_threshold(20_000, 20, 20)

# The tests are many and small: threads that wait for each other cost more than they save, and on a
# busy machine very much more. Before anything imports PyTorch; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What `pytest -m quick` runs, but for slow tests: definitions and mathematics, which train nothing.
QUICK = ("docs/test_pages.py", "files", "models/fusions/test_battery.py", "models/heads")
QUICK += ("objective/weightings", "tasks", "training/diagnosis")


def is_quick(item: pytest.Item) -> bool:
    """Whether a test belongs to the quick tier: by its folder or file, and not marked as slow."""
    path = Path(item.path).relative_to(Path(__file__).parent)
    chosen = any(path.is_relative_to(part) for part in QUICK)
    return chosen and item.get_closest_marker("slow") is None


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if is_quick(item):
            item.add_marker(pytest.mark.quick)


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk over what was imported and collected, which stays."""
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without a quick test under `-m quick`: importing them costs most."""
    if config.getoption("markexpr", "") != "quick" or collection_path.is_dir():
        return None
    path = collection_path.relative_to(Path(__file__).parent)
    return None if any(path.is_relative_to(part) for part in QUICK) else True
