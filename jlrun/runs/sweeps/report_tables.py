"""Tables of a sweep for documents: ``summary.md`` and ``summary.tex``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jlrun.reporting.recorders.formats import MISSING
from jlrun.runs.sweeps.comparison import larger_is_better
from jlrun.runs.sweeps.records import Group, key_of
from jlrun.runs.sweeps.significance import LEAST_SEEDS, LEVEL, differences

_TEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
BETTER, WORSE = "better", "worse"


@dataclass(frozen=True)
class Cell:
    """A mean, its deviation, and how it compares.

    Attributes:
        best: whether no other variant of the problem has a better mean.
        differs: better or worse than the first variant, significantly; empty: neither.
    """

    mean: float | None
    std: float | None = None
    best: bool = False
    differs: str = ""


@dataclass(frozen=True)
class Table:
    """A row per variant: values of the swept keys, numbers of jobs, scores.

    Attributes:
        keys: that not all variants set to the same.
        names: of the scores.
        rows: values of the keys, completed and failed jobs, a cell per score.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], int, int, tuple[Cell, ...]], ...]

    @property
    def compared(self) -> bool:
        """Whether there are several variants, with enough seeds to test their differences."""
        return len(self.rows) > 1 and max(completed for _, completed, _, _ in self.rows) > 2


def make_table(groups: Sequence[Group]) -> Table:
    """Return the table of a sweep: main test scores, and the gain where there is one."""
    names = _score_names(groups)
    p_values = differences(groups, names) if groups else {}
    values = [dict(_pair(text) for text in group.overrides) for group in groups]
    keys = tuple(
        key
        for key in dict.fromkeys(key for each in values for key in each)
        if len({each.get(key) for each in values}) > 1
    )
    rows = tuple(
        (
            tuple(values[i].get(key, "") for key in keys),
            group.num_completed,
            len(group.jobs) - group.num_completed,
            tuple(_cell(groups, i, name, p_values) for name in names),
        )
        for i, group in enumerate(groups)
    )
    return Table(keys, names, rows)


def as_markdown(table: Table) -> str:
    """Return the content of ``summary.md``."""
    head = [*table.keys, "n", "failed", *(_title(name) for name in table.names)]
    lines = [_row(head), _row(["---"] * len(head))]
    marks = {BETTER: " ▲", WORSE: " ▼", "": ""}
    for values, completed, failed, cells in table.rows:
        shown = [
            f"{f'**{_plain(cell)}**' if cell.best else _plain(cell)}{marks[cell.differs]}"
            for cell in cells
        ]
        lines.append(_row([*values, str(completed), str(failed), *shown]))
    return "\n".join([*lines, "", *_notes(table, "▲", "▼"), ""])


def as_latex(table: Table) -> str:
    """Return the content of ``summary.tex``, which needs the package ``booktabs``."""
    head = [*table.keys, "n", "failed", *(_title(name) for name in table.names)]
    columns = "l" * len(table.keys) + "r" * (len(head) - len(table.keys))
    marks = {BETTER: r"$^{\uparrow}$", WORSE: r"$^{\downarrow}$", "": ""}
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _tex_row(map(_tex, head)),
        r"\midrule",
    ]
    for values, completed, failed, cells in table.rows:
        shown = [_tex_cell(cell) + marks[cell.differs] for cell in cells]
        lines.append(_tex_row([*map(_tex, values), str(completed), str(failed), *shown]))
    notes = [f"% {line}" for line in _notes(table, "up", "down")]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *notes, ""])


def _score_names(groups: Sequence[Group]) -> tuple[str, ...]:
    tasks = dict.fromkeys(pair for group in groups for pair in group.primary.items())
    names = [f"test/{task}/{metric}" for task, metric in tasks] + ["gain/delta_m_percent"]
    return tuple(name for name in names if any(name in group.scores for group in groups))


def _cell(
    groups: Sequence[Group],
    i: int,
    name: str,
    p_values: Mapping[tuple[int, str], float | None],
) -> Cell:
    spread = groups[i].scores.get(name)
    if spread is None:
        return Cell(None)
    sign = 1 if larger_is_better(name.rpartition("/")[2]) else -1
    others = [
        g.scores[name].mean for g in groups if g.problem == groups[i].problem and name in g.scores
    ]
    best = len(others) > 1 and sign * spread.mean >= max(sign * mean for mean in others)
    p, first = p_values.get((i, name)), groups[0].scores.get(name)
    if p is None or p > LEVEL or first is None:
        return Cell(spread.mean, spread.std, best)
    rises = sign * (spread.mean - first.mean) > 0
    return Cell(spread.mean, spread.std, best, BETTER if rises else WORSE)


def _pair(override: str) -> tuple[str, str]:
    return key_of(override), override.partition("=")[2]


def _title(name: str) -> str:
    if name == "gain/delta_m_percent":
        return "gain in %"
    return " ".join(name.split("/")[1:])


def _numbers(cell: Cell) -> tuple[str, str]:
    if cell.mean is None:
        return MISSING, ""
    return f"{cell.mean:.3f}", "" if cell.std is None else f"{cell.std:.3f}"


def _plain(cell: Cell) -> str:
    mean, std = _numbers(cell)
    return f"{mean} ± {std}" if std else mean


def _tex_cell(cell: Cell) -> str:
    mean, std = _numbers(cell)
    shown = rf"\textbf{{{mean}}}" if cell.best else mean
    return rf"{shown} $\pm$ {std}" if std else shown


def _notes(table: Table, up: str, down: str) -> list[str]:
    lines = ["Mean ± standard deviation over n seeds, on the test split; bold: the best mean."]
    if table.compared:
        lines.append(
            f"{up}, {down}: better, worse than the first row at {LEVEL:.0%}: paired t-test over "
            f"seeds (at least {LEAST_SEEDS}), two-sided, Holm-corrected over all comparisons."
        )
    return lines


def _row(cells: Sequence[str]) -> str:
    escaped = (
        cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells
    )
    return f"| {' | '.join(escaped)} |"


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return text.translate(_TEX)
