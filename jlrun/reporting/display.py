"""Display of a result in a notebook, as HTML in which every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jlrun.reporting.recorders.result_table import ResultTable, result_table
from jlrun.reporting.recorders.verdict import verdict


def result_html(name: str, result: Mapping[str, Any]) -> str:
    """Return the heading, the error or the verdict, and the test scores of a run.

    Args:
        name: of the run.
        result: content of ``result.json``; empty of a run that has none yet.
    """
    facts = (result.get("mode"), f"seed {result.get('seed')}", result.get("status"))
    if not result:
        facts = ("no result yet",)
    parts = [heading(name, facts), _paragraph(" ".join(result.get("overrides") or []), code=True)]
    if result.get("error"):
        parts.append(_paragraph(str(result["error"]).strip().splitlines()[-1]))
    if result.get("test"):
        parts.append(table_html(result_table(result)))
        parts += [_paragraph(sentence) for sentence in verdict(result)]
    return f"<div>{''.join(parts)}</div>"


def heading(name: str, facts: Iterable[object]) -> str:
    """Return a line with a name in bold and facts about it."""
    return f"<p><b>{escape(name)}</b> · {escape(', '.join(map(str, facts)))}</p>"


def table_html(table: ResultTable) -> str:
    """Return a table; the first column is left-aligned."""
    head = _row(table.header, "th")
    body = "".join(_row(row, "td") for row in table.rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(cells: Sequence[str], tag: str) -> str:
    aligned = ("left", *["right"] * (len(cells) - 1))
    inner = (
        f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
        for cell, side in zip(cells, aligned, strict=True)
    )
    return f"<tr>{''.join(inner)}</tr>"


def _paragraph(text: str, code: bool = False) -> str:
    inner = f"<code>{escape(text)}</code>" if code else escape(text)
    return f"<p>{inner}</p>" if text else ""
