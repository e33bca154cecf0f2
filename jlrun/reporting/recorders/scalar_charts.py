"""Charts of TensorBoard's custom scalars: curves of tasks on one chart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Category -> title -> tags. Regular expressions without names, so that runs share their charts.
_FIXED = {
    "loss": {
        "training loss of tasks and terms": r"train/.+/loss$",
        "validation loss of tasks": r"val/.+/loss$",
    },
    "tasks": {
        "weights": r"weight/",
        "gradient cosines": r"gradient/cosine/",
        "gradient norms": r"gradient/norm/",
    },
}
_VALIDATION = re.compile(r"val/[^/]+/([^/]+)$")


def charts_of(tags: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return category -> title -> pattern of the charts that have a curve among ``tags``.

    Args:
        tags: of the main fit.
    """
    known = sorted(set(tags))
    found = dict[str, dict[str, str]]()
    for category, title, pattern in (*_of_scores(known), *_of_fixed()):
        if any(re.match(pattern, tag) for tag in known):
            found.setdefault(category, {})[title] = pattern
    return found


def _of_fixed() -> Iterator[tuple[str, str, str]]:
    for category, charts in _FIXED.items():
        for title, pattern in charts.items():
            yield category, title, pattern


def _of_scores(tags: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield a chart for each metric on validation rows."""
    matches = (_VALIDATION.match(tag) for tag in tags)
    for metric in sorted({match[1] for match in matches if match} - {"loss"}):
        yield "score", f"validation {metric}", rf"val/.+/{re.escape(metric)}$"
