"""Tables print what was run, once, with the configuration and the data that they declare."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from benchmarks.tables.command import declared
from benchmarks.tables.declared import QUIET, Cell, Job, Outside, Table, of_model, only
from benchmarks.tables.page import differences_table, interval, page, scores_table
from benchmarks.tables.running import Runner
from benchmarks.tables.sheet import Entry, Sheet, made_sheet, read_sheet, run_table, write_sheet
from jlrun.files.lock import held

MACHINE = {"versions": {"jlrun": "0"}, "processor": "a processor", "cores": 2, "python": "3"}


def known(seed: int, data: Path, test: float, val: float) -> dict[str, Any]:
    """Result of a model whose scores are given."""
    objective = {"value": val, "direction": "maximize"}
    return {"test": {"t": {"accuracy": test + seed / 100}}, "objective": objective}


def outside(test: float, val: float = 0.0) -> Outside:
    return Outside(known, (("test", test), ("val", val)))


def sheet_of(rows: Mapping[str, Sequence[float]]) -> Sheet:
    entries = [
        Entry(row=row, column="c", seed=seed, run=f"{row}{seed}", data={}, score=value, seconds=1)
        for row, values in rows.items()
        for seed, value in enumerate(values)
    ]
    return Sheet(entries)


def plain(rows: Sequence[str], **more: Any) -> Table:
    cells = tuple(Cell(row, "c", only(outside(0.0)), of_model("t")) for row in rows)
    return Table("t", "A title", "About it.", cells, **more)


def test_intervals_are_those_of_scipy() -> None:
    values = [0.71, 0.64, 0.69, 0.75]
    low, high = stats.t.interval(0.95, 3, loc=0.6975, scale=stats.sem(values))
    assert interval(values) == pytest.approx((high - low) / 2)
    assert interval([0.5, 0.6]) is None
    text = scores_table(plain(["a"]), sheet_of({"a": values}))
    assert f"| a | 69.8 ± {50 * (high - low):.1f} |" in text


def test_differences_are_paired_and_corrected_for_their_number() -> None:
    base = [0.50, 0.60, 0.70, 0.80]
    better = [0.53, 0.64, 0.73, 0.84]
    noisy = [0.55, 0.58, 0.66, 0.83]
    table = plain(["base", "better", "noisy"], reference="base")
    text = differences_table(table, sheet_of({"base": base, "better": better, "noisy": noisy}))
    p_better = stats.ttest_rel(better, base).pvalue
    p_noisy = stats.ttest_rel(noisy, base).pvalue
    assert p_better < p_noisy
    assert f"p {2 * p_better:.3f}**" in text  # Holm: the smaller of two counts twice
    assert f"p {p_noisy:.3f} |" in text
    assert "**+3.5 (" in text


def test_choices_are_made_by_validation_on_other_seeds(tmp_path: Path) -> None:
    # The one that is better on test rows is worse on validation rows.
    choices = {"lucky": outside(0.9, val=0.1), "chosen": outside(0.6, val=0.2)}
    cells = (
        Cell("row", "c", choices, of_model("t")),
        Cell("only", "c", only(outside(0.5)), of_model("t")),
    )
    table = Table("t", "A title", "About it.", cells, seeds=(0, 1), tuning_seeds=(5,))
    sheet = refresh(table, tmp_path)
    assert sheet.scores() == {"c": {"row": {0: 0.6, 1: 0.61}, "only": {0: 0.5, 1: 0.51}}}
    assert sheet.tuning == {"row": {"lucky": 0.1, "chosen": 0.2}}
    assert "| row | lucky: 0.1000, **chosen: 0.2000** |" in page(table, sheet, "it", MACHINE)
    assert len([*(tmp_path / "runs").rglob("result.json")]) == 2 + 2 + 2  # choices, row, only
    shutil.rmtree(tmp_path / "runs")
    assert refresh(table, tmp_path, run=False).scores() == sheet.scores()


def test_a_choice_may_be_made_on_other_data(tmp_path: Path) -> None:
    # On the data of the table, "own" would be chosen; on two other sets, "elsewhere".
    choices = {"own": outside(0.9, val=0.9), "elsewhere": outside(0.6, val=0.1)}
    others = {
        "own": (outside(0.2), outside(0.7)),
        "elsewhere": (outside(0.4), outside(0.6)),
    }
    score = of_model("t")
    cells = (
        Cell("row", "there", choices, score, tuned_on=others, judged=score),
        Cell("row", "here", choices, score),
    )
    table = Table("t", "A title", "About it.", cells, seeds=(0,), tuning_seeds=(5,))
    sheet = refresh(table, tmp_path)
    assert sheet.scores() == {"there": {"row": {0: 0.6}}, "here": {"row": {0: 0.9}}}
    assert {name: pytest.approx(found) for name, found in sheet.tuning.items()} == {
        "row, there": {"own": 0.5, "elsewhere": 0.55},  # means, each with 0.05 of seed 5
        "row, here": {"own": 0.9, "elsewhere": 0.1},
    }
    shutil.rmtree(tmp_path / "runs")
    assert refresh(table, tmp_path, run=False).scores() == sheet.scores()


@pytest.fixture
def table(tmp_path: Path) -> Table:
    write_rows(tmp_path / "rows.csv", shift=0)
    job = Job(
        (
            "mode=multitask",
            "dataset=table",
            "dataset.path={data}/rows.csv",
            "dataset.targets=[y]",
            "dataset.columns={x: number}",
            "backbone.tabular.hidden=[4]",
            "epochs=1",
            "batch_size=32",
            "baselines=false",
            *QUIET,
        )
    )
    return Table(
        "small", "Small", "Rows.", (Cell("row", "c", only(job), of_model("y")),), seeds=(0,)
    )


def write_rows(path: Path, shift: int) -> None:
    rows = [f"{i + shift},{'yes' if i % 3 else 'no'}" for i in range(60)]
    path.write_text("x,y\n" + "\n".join(rows) + "\n", encoding="utf-8")


def refresh(table: Table, tmp_path: Path, run: bool = True) -> Sheet:
    """Do what the command does, in a new process."""
    runner = Runner(tmp_path / "runs", tmp_path)
    if run:
        run_table(table, table.seeds, runner)
    file = tmp_path / "sheet.json"
    sheet = made_sheet(table, table.seeds, runner, read_sheet(file), check_data=True)
    write_sheet(file, sheet, "a command", MACHINE)
    return sheet


def test_a_run_is_done_once_and_printed_while_nothing_has_changed(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = refresh(table, tmp_path)
    assert len(first.entries) == 1
    assert first.missing == []
    assert capsys.readouterr().err.count("run ") == 1
    assert refresh(table, tmp_path).entries == first.entries
    assert "run " not in capsys.readouterr().err
    # From the sheet, where the runs are gone.
    shutil.rmtree(tmp_path / "runs")
    assert refresh(table, tmp_path, run=False).entries == first.entries
    # Another configuration is another run.
    (cell,) = table.cells
    job = cell.choices[""]
    assert isinstance(job, Job)
    longer = replace(cell, choices=only(Job((*job.overrides, "optimizer.lr=0.1"))))
    changed = refresh(replace(table, cells=(longer,)), tmp_path, run=False)
    assert changed.entries == []
    assert changed.missing == ["row, c, seed 0: not run"]
    assert "- row, c, seed 0: not run" in page(table, changed, "a command", MACHINE)


def test_a_run_of_other_data_is_refused(table: Table, tmp_path: Path) -> None:
    assert refresh(table, tmp_path).missing == []
    write_rows(tmp_path / "rows.csv", shift=1)
    changed = refresh(table, tmp_path, run=False)
    assert changed.entries == []
    assert "learned from other data" in changed.missing[0]


def test_a_run_of_another_process_is_left_to_it(table: Table, tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runs", tmp_path)
    (cell,) = table.cells
    run = runner.planned(cell.choices[""], 0)
    with held(run.folder, "a folder"):
        run_table(table, (0,), runner)
    assert runner.result(run) is None
    run_table(table, (0,), runner)
    assert runner.result(run) is not None


def test_a_run_that_builds_on_another_changes_with_it(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runs", tmp_path)
    keys = set()
    for epochs in (1, 2):
        start = Job(("mode=multitask", "dataset=printed_digits", f"epochs={epochs}", *QUIET))
        job = Job(("mode=transfer", "source.run={start}", *QUIET), {"start": start})
        planned = runner.planned(job, 3)
        assert planned.composed is not None
        assert planned.composed.config["source"]["run"] == str(runner.planned(start, 3).folder)
        assert planned.composed.config["seed"] == 3
        keys.add(planned.key)
    assert len(keys) == 2
    moved = Runner(tmp_path / "elsewhere", tmp_path)
    assert moved.planned(job, 3).key == planned.key


def test_declarations_have_names_of_their_own() -> None:
    tables = declared()
    assert {"fewshot_cifar", "av_digits"} <= tables.keys()
    for table in tables.values():
        places = [(cell.row, cell.column) for cell in table.cells]
        assert len(places) == len(set(places)), table.name
        assert table.reference is None or table.reference in table.rows
        assert not set(table.seeds) & set(table.tuning_seeds)
