"""Reference of the configuration, from ``conf`` and the docstrings of the classes that it names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from griffe import Docstring, DocstringSectionKind

from docs_site.yaml_file import ConfigFile, Key, read_config
from jlrun.config.options import describe

CONF = Path(__file__).parents[1] / "conf"
FOLDER = "reference/configuration"
AS_A_FILE = "experiment"  # whose options are overrides of everything
LEFT_OUT = "hydra"
INTRO = """# Configuration

Every option of every group, with its keys, their defaults and what they mean, as `conf/` has
them. A key is set on the command line by its full name, such as `weighting.update_every=4`; a group
by its name, such as `weighting=mgda`. `jlrun ls GROUP` prints the options, and `jlrun --cfg job …`
the whole configuration of a run.

| group | options |
|---|---|
"""


def configuration_pages() -> dict[str, str]:
    """Return address in the site -> Markdown: an overview, and a page for each group."""
    groups = _groups()
    pages = {f"{FOLDER}/{_slug(name)}.md": _page(name, files) for name, files in groups.items()}
    rows = [f"| [`{name}`]({_slug(name)}.md) | {_names(files)} |" for name, files in groups.items()]
    top = read_config(CONF / "jlrun.yaml")
    overview = [INTRO + "\n".join(rows), "## Keys of the top level", _table(top, "", {})]
    return {f"{FOLDER}/index.md": "\n\n".join(overview) + "\n", **pages}


def _groups() -> dict[str, list[ConfigFile]]:
    """Return group -> its files, parts of options first."""
    groups: dict[str, list[ConfigFile]] = {}
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group != "." and group.split("/")[0] != LEFT_OUT:
            groups.setdefault(group, []).append(read_config(path))
    return dict(sorted(groups.items()))


def _names(files: Iterable[ConfigFile]) -> str:
    """Return the names of the options; parts of several are none."""
    names = (file.path.stem for file in files)
    return ", ".join(f"`{name}`" for name in names if not name.startswith("_"))


def _slug(group: str) -> str:
    return group.replace("/", "_")


def _page(group: str, files: list[ConfigFile]) -> str:
    return "\n\n".join([f"# `{group}`", *(_section(group, file) for file in files)]) + "\n"


def _section(group: str, file: ConfigFile) -> str:
    """Return the description of an option: its comment, its choices, docstring and keys."""
    title = file.path.stem
    if title.startswith("_"):
        title = f"Keys of several options: `{title}`"
    elif title != "default":
        title = f"`{group}={title}`"
    else:
        title = f"`{group}.*`"
    parts = [f"## {title}", _sentence(describe(file.path))]
    if group == AS_A_FILE:
        return "\n\n".join([*parts, f"```yaml\n{file.text.strip()}\n```"])
    parts += [_choices(file)] if file.defaults else []
    documented: dict[str, str] = {}
    for target in file.targets[:1]:
        text, documented = _class_of(target)
        parts.append(f"Builds `{target}`.\n\n{text}".strip())
    prefix = "" if file.package else f"{group.replace('/', '.')}."
    return "\n\n".join([*parts, _table(file, prefix, documented)]).strip()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _choices(file: ConfigFile) -> str:
    """Return what an option takes over from others, and chooses in other groups."""
    chosen = []
    for entry in file.defaults:
        if isinstance(entry, str):
            chosen.append(f"the keys of [`{entry}`](#{_anchor(file, entry)})")
        else:
            ((group, option),) = entry.items()
            group = group.removeprefix("override ").lstrip("/").split("@_global_")[0]
            chosen.append(f"`{group}={_plain(option)}`")
    return f"With it: {', '.join(chosen)}."


def _plain(option: Any) -> str:
    return f"[{','.join(map(str, option))}]" if isinstance(option, list) else str(option)


def _anchor(file: ConfigFile, entry: str) -> str:
    if entry.startswith("_"):
        return f"keys-of-several-options-{entry}"
    group = file.path.parent.relative_to(CONF).as_posix()
    return f"{group.replace('/', '')}{entry}"


@cache
def _class_of(target: str) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring up to its sections, and parameter -> its description."""
    if not target.startswith("jlrun."):
        return "", {}
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    sections = Docstring(inspect.getdoc(found) or "").parse("google", warnings=False)
    text = "\n\n".join(s.value for s in sections if s.kind is DocstringSectionKind.text)
    documented = {
        name: " ".join(parameter.description.split())
        for section in sections
        if section.kind is DocstringSectionKind.parameters
        for parameter in section.value
        for name in parameter.name.split(", ")
    }
    return text, documented


def _table(file: ConfigFile, prefix: str, documented: Mapping[str, str]) -> str:
    """Return the keys as a table; those without a comment have the text of the docstring."""
    if not file.keys:
        return ""
    rows = [_row(key, prefix, documented) for key in file.keys]
    return "\n".join(["| key | default | |", "|---|---|---|", *rows])


def _row(key: Key, prefix: str, documented: Mapping[str, str]) -> str:
    meaning = key.comment or documented.get(key.name.split(".")[-1], "")
    default = f"`{_cell(key.default)}`" if key.default else ""
    return f"| `{prefix}{key.name}` | {default} | {_cell(_code(meaning))} |"


def _code(text: str) -> str:
    """Return the text with overrides in it as code, and signs of HTML as text."""
    text = re.sub(r"(?<![`\w])[\w.]+=[^\s,;:]+", lambda match: f"`{match[0].rstrip('.')}`", text)
    return text.replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
