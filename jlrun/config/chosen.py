"""What a user chose, told from what jlrun ships: a choice is kept or refused, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

BATCH_SIZE = "batch_size"


def chose_batch_size(overrides: Sequence[str], hydra: Any) -> bool:
    """Whether ``batch_size`` stands among the overrides or in an option of the user's own.

    Args:
        overrides: of the run.
        hydra: Hydra's node of the composed config, with the options chosen and where they lie.
    """
    keys = (text.partition("=")[0].lstrip("+") for text in overrides)
    return BATCH_SIZE in keys or any(_sets(file, BATCH_SIZE) for file in _own_options(hydra))


def _own_options(hydra: Any) -> Iterable[Path]:
    """Yield the files of the options in use that the user wrote."""
    sources = [source for source in hydra["runtime"]["config_sources"] if source["path"]]
    folders = [Path(str(s["path"])) for s in sources if s["provider"] == "user"]
    for group, chosen in hydra["runtime"]["choices"].items():
        names = [chosen] if isinstance(chosen, str) else list(chosen or ())
        for name in names:
            yield from (folder / group.split("@")[0] / f"{name}.yaml" for folder in folders)


def _sets(file: Path, key: str) -> bool:
    """Whether a file has ``key`` at its top level."""
    if not file.is_file():
        return False
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return isinstance(content, Mapping) and key in content
