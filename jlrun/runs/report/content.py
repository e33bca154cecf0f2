"""Parts of a report, as its template shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Cells as text.

    Attributes:
        header: titles of the columns.
        rows: cells; the first of a row is its name.
        title: above the table.
        note: below it.
        anchors: of each row, the section that its name leads to; empty: none do.
        folded: whether it is closed at first.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    note: str = ""
    anchors: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Key:
    """Entry of a legend: colour and stroke (solid, dashed or dotted) as CSS has them."""

    name: str
    colour: str
    stroke: str


@dataclass(frozen=True)
class Chart:
    """A figure of Plotly.

    Attributes:
        title: above it.
        figure: ``data`` and ``layout``, as JSON has them.
        height: in pixels.
        legend: its entries; empty for a single curve.
    """

    title: str
    figure: Mapping[str, Any]
    height: int = 360
    legend: tuple[Key, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether it takes a row of the page for itself."""
        return self.height > 480


@dataclass(frozen=True)
class Section:
    """A part of the page: a run, a sweep, a study.

    Attributes:
        anchor: its id in the page.
        title: its name.
        status: of the run or group, in words.
        question: what it asks; empty for a run among others.
        sentences: the verdict.
        tables, charts: in their order.
        facts: label -> lines of text, whose columns are aligned.
        commands: how to reproduce it.
        error: what went wrong; None if nothing did.
        notes: what the page leaves out.
    """

    anchor: str
    title: str
    status: str = ""
    question: str = ""
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    facts: Mapping[str, list[str]] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    error: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        title: of the window, and the heading: the question, if there is one alone.
        name: of what the page is on.
        lead: groups, and what is said of all runs; the first of them holds the page's question.
        runs: a section each.
        failures: anchor, name and error of runs that did not complete.
        written: date and version.
    """

    title: str
    name: str
    lead: tuple[Section, ...]
    runs: tuple[Section, ...]
    failures: tuple[tuple[str, str, str], ...]
    written: str
