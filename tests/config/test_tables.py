"""What a node of a table says of its tasks, before these are inferred."""

from pathlib import Path
from typing import Any

import pytest

from jlrun.config.compose import compose
from jlrun.config.tables import Inference, with_tables


def inferred(folder: Path, *overrides: str) -> Inference:
    rows = [f"{i / 7},{'ab'[i % 2]},{'uvw'[i % 3]}" for i in range(30)]
    path = folder / "t.csv"
    path.write_text("\n".join(["x,Rating,1e3", *rows]) + "\n")
    table = ["mode=multitask", "dataset=table", f"dataset.path={path}"]
    return with_tables(compose([*table, *overrides]).config)


@pytest.mark.parametrize(
    ("targets", "setting", "task"),
    [
        ("[Rating]", "dataset.tasks.Rating.metric=weighted_f1", "Rating"),
        ("[rating]", "dataset.tasks.Rating.metric=weighted_f1", "rating"),
        ("[Rating]", "dataset.tasks.rating.metric=weighted_f1", "Rating"),
        ("[1e3]", "dataset.tasks={1e3: {metric: weighted_f1}}", "1e3"),
        (
            "{stars: {column: Rating, kind: binary}}",
            "dataset.tasks.stars.metric=weighted_f1",
            "stars",
        ),
    ],
)
def test_settings_reach_the_task_that_is_meant(
    targets: str, setting: str, task: str, tmp_path: Path
) -> None:
    found = inferred(tmp_path, f"dataset.targets={targets}", setting)
    assert found.problems == ()
    tasks: dict[str, Any] = found.config["dataset"]["tasks"]
    assert list(tasks) == [task]
    assert tasks[task]["metric"] == "weighted_f1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["dataset.tasks.Ratng.metric=auroc"], "has no task 'Ratng'. Did you mean 'Rating'?"),
        (["dataset.tasks.x.metric=auroc"], "has no task 'x'. Choose from: Rating."),
        (
            ["dataset.tasks.Rating.metric=auroc", "dataset.tasks.rating.metric=auroc"],
            "the task 'Rating' is set twice",
        ),
    ],
)
def test_settings_of_no_task_are_refused(settings: list[str], message: str, tmp_path: Path) -> None:
    (problem,) = inferred(tmp_path, "dataset.targets=[Rating]", *settings).problems
    assert problem.where.startswith("dataset.tasks.")
    assert message in problem.message


@pytest.mark.parametrize(
    "setting",
    [
        "dataset.reading.columns={x: {unitt: EUR}}",
        "dataset.targets={s: {column: Rating, kind: multilabel, seperator: semicolon}}",
    ],
)
def test_misspelt_options_of_a_column_are_refused(tmp_path: Path, setting: str) -> None:
    problems = inferred(tmp_path, setting).problems
    assert any("unitt" in str(p) or "seperator" in str(p) for p in problems)
