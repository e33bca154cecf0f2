"""Config groups and their options as they lie on disk, without Hydra."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from jlrun.errors import UserError, did_you_mean

LONGEST = 200  # characters of a description


@dataclass(frozen=True)
class Option:
    """One YAML file of a group.

    Attributes:
        name: the right-hand side of an override.
        description: the first comment line of the file; empty if there is none.
        path: the file.
    """

    name: str
    description: str
    path: Path


Groups = dict[str, dict[str, Option]]


def package_folder() -> Path:
    """Return the folder of the YAML files that jlrun ships."""
    file = import_module("jlrun.conf").__file__
    assert file is not None
    return Path(file).parent


def user_folders(config_dir: str | None = None) -> list[Path]:
    """Return the user's own config folders: ``./conf`` if there is one, then ``config_dir``."""
    ours = package_folder().resolve()
    candidates = [Path("conf"), *([] if config_dir is None else [Path(config_dir).expanduser()])]
    folders = [folder.resolve() for folder in candidates if folder.is_dir()]
    return [folder for folder in dict.fromkeys(folders) if folder != ours]


def read_groups(folders: Sequence[Path]) -> Groups:
    """Return group -> option name -> option; where two folders have an option, the first one's.

    Files whose name begins with ``_`` are parts of options, not options.
    """
    groups: Groups = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            group = path.parent.relative_to(folder).as_posix()
            if group == "." or path.name.startswith("_") or group.split("/")[0] == "hydra":
                continue
            option = Option(path.stem, describe(path), path)
            groups.setdefault(group, {}).setdefault(path.stem, option)
    return dict(sorted(groups.items()))


def chosen_groups(groups: Groups, wanted: Sequence[str]) -> list[str]:
    """Return the groups of the wanted names and those below them; all if none is wanted.

    Raises:
        UserError: if there is no such group.
    """
    chosen = []
    for name in wanted:
        name = name.strip("/")
        found = [group for group in groups if group == name or group.startswith(f"{name}/")]
        if not found:
            raise UserError.of("", f"there is no group '{name}'.{did_you_mean(name, groups)}")
        chosen += found
    return chosen if wanted else list(groups)


def describe(path: Path) -> str:
    """Return the first comment line of a YAML file, other than its ``@package`` line."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            text = line.strip()
            if text and not text.startswith("#"):
                return ""
            comment = text.lstrip("#").strip()
            if comment and not comment.startswith("@package"):
                return textwrap.shorten(comment, LONGEST, placeholder=" …")
    return ""


def shadowed(folders: Sequence[Path]) -> list[Path]:
    """Return the user's files that have no effect, because jlrun has an option of their name."""
    ours = package_folder()
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        if not path.name.startswith("_") and (ours / path.relative_to(folder)).is_file()
    ]


def chose_batch_size(overrides: Sequence[str], hydra: Any) -> bool:
    """Return whether an override or an option that the user wrote sets ``batch_size``.

    A batch size that the user chose is kept or rejected, never changed.

    Args:
        overrides: of the run.
        hydra: Hydra's node of the composed config, with the options chosen and the folders of each.
    """
    keys = (text.partition("=")[0].lstrip("+") for text in overrides)
    return "batch_size" in keys or any(_sets(f, "batch_size") for f in _own_options(hydra))


def _own_options(hydra: Any) -> Iterable[Path]:
    """Yield the files of the options in use that the user wrote."""
    sources = [source for source in hydra["runtime"]["config_sources"] if source["path"]]
    folders = [Path(str(s["path"])) for s in sources if s["provider"] == "user"]
    for group, chosen in hydra["runtime"]["choices"].items():
        names = [chosen] if isinstance(chosen, str) else list(chosen or ())
        for name in names:
            yield from (folder / group.split("@")[0] / f"{name}.yaml" for folder in folders)


def _sets(file: Path, key: str) -> bool:
    """Return whether a file has ``key`` at its top level."""
    import yaml

    if not file.is_file():
        return False
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return isinstance(content, Mapping) and key in content
