"""``datasets=[mnist,usps]`` and ``sources=[…]``: the short form of a choice of several data sets.

Hydra's own form names each, which lets one data set occur twice with other values::

    '~dataset' '+dataset@datasets.a=imagefolder' '+dataset@datasets.b=imagefolder'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LIST = re.compile(
    r"\+?(?P<group>datasets|sources)=(?:\[(?P<listed>[\w\s,-]+)\]|(?P<single>[\w-]+))"
)
_IN_PLACE_OF = {"datasets": "dataset", "sources": "dataset@source"}


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
