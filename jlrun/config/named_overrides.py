"""Overrides that are rewritten before Hydra reads them: names, and lists of data sets.

Hydra reads ``dataset.classes=[1_2,1_1]`` as 12 and 11, and no letter beyond ASCII. In keys that
take names, such words are quoted; plain whole numbers, which may be positions, are left alone.
Marks within a table's numbers are quoted, too.

``datasets=[mnist,usps]`` and ``sources=[…]`` are the short form of a choice of several data sets.
Hydra's own form names each, which lets one data set occur twice with other values::

    '~dataset' '+dataset@datasets.a=imagefolder' '+dataset@datasets.b=imagefolder'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# The last part of keys whose values are names of classes, columns, tasks, modalities or cells.
_LISTS = ("classes", "unseen", "targets", "tasks", "modalities", "positives", "missing", "primary")
_SINGLE = ("split_column", "group_by", "labels", "anchor", "conditioned", "main", "domain")
_OTHER = ("pretraining.data",)
_KEY = re.compile(
    rf"[+]{{0,2}}(?:.*\.)?(?P<last>{'|'.join((*_LISTS, *_SINGLE))})|.*(?:{'|'.join(_OTHER)})"
)
# Keys whose value is a mark, which the shell leaves bare: ``dataset.reading.decimal=,``.
_MARKS = re.compile(r"[+]{0,2}(.*\.)?reading\.(decimal|thousands|delimiter)")
_BARE = r"""[^\s,\[\]{}():'"]+"""
_WORD = re.compile(
    rf"""(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?P<word>{_BARE}(\ +{_BARE})*)"""
)
_BEYOND_HYDRA = re.compile(r"[^\\]*[^\w\s/\\+.$%*@?|=~:-][^\\]*", re.ASCII)  # and no escape
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_NUMBER = re.compile(
    r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d[\d_]*)?|true|false|null|[-+]?(nan|inf)",
    re.IGNORECASE,
)

_LIST = re.compile(
    r"\+?(?P<group>datasets|sources)=(?:\[(?P<listed>[\w\s,-]+)\]|(?P<single>[\w-]+))"
)
_IN_PLACE_OF = {"datasets": "dataset", "sources": "dataset@source"}


def quoted_names(overrides: Sequence[str]) -> list[str]:
    """Return the overrides, names quoted that Hydra would not read as text."""
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, sign, value = override.partition("=")
    if _MARKS.fullmatch(key) and len(value) == 1 and not value.isalnum():
        quote = '"' if value == "'" else "'"
        return f"{key}={quote}{value}{quote}"
    match = _KEY.fullmatch(key)
    if not sign or match is None or "${" in value:
        return override
    single = match["last"] in _SINGLE
    return f"{key}={''.join(_words(value, single))}"


def _words(value: str, single: bool) -> Iterator[str]:
    end = 0
    for match in _WORD.finditer(value):
        yield value[end : match.start()]
        end = match.end()
        word, before, after = match["word"], value[: match.start()], value[match.end() :].lstrip()
        inside = before.count("[") > before.count("]")
        kept = (
            word is None
            or before.count("{") > before.count("}")
            or after.startswith((":", "("))
            or not (_NUMBER.fullmatch(word) or _BEYOND_HYDRA.fullmatch(word))
            or (_WHOLE.fullmatch(word) and not single)
            or (word.lower() == "null" and not inside)
        )
        yield match[0] if kept else f"'{word}'"
    yield value[end:]


def expand_datasets(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with the short form written out; each data set has its own name."""
    return [text for override in overrides for text in _expanded(override, overrides)]


def _expanded(override: str, overrides: Sequence[str]) -> Iterator[str]:
    match = _LIST.fullmatch(override.strip())
    if match is None:
        yield override
        return
    names = (match["listed"] or match["single"]).split(",")
    group, single = match["group"], _IN_PLACE_OF[match["group"]]
    if not any(re.match(rf"~?{single}(=|$)", other) for other in overrides):
        yield f"~{single}"  # that of the mode
    for name in filter(None, (name.strip() for name in names)):
        yield f"+dataset@{group}.{name}={name}"
