"""Reference models and intervals in the table and the verdict of a run."""

from __future__ import annotations

from typing import Any

import pytest

from jlrun.reporting.recorders.result_table import WIDTH, result_table
from jlrun.reporting.recorders.verdict import verdict
from jlrun.runs.sweeps.records import scores_of

SCORES = {"grade": {"accuracy": 0.6}, "price": {"r2": 0.25}}
BEST = {"grade": {"accuracy": 0.64}, "price": {"r2": 0.2}}
OVER = {
    "delta_m_percent": 9.4,
    "per_task": {"grade": -6.25, "price": 25.0},
    "interval": {"grade": [-9.0, -3.5]},
    "kind": {"grade": "lost", "price": "won"},
    "spread": {"price": {"r2": 0.4}},
}
RESULT: dict[str, Any] = {
    "mode": "multitask",
    "primary": {"grade": "accuracy", "price": "r2"},
    "test": SCORES,
    "baselines": {"reference": BEST},
    "reference_models": {"grade": {"chosen": "linear_text"}, "price": {"chosen": "mean"}},
    "gain": {"against": "reference", **OVER, "over_reference": OVER},
}
ENDS = {"grade": {"accuracy": [0.55, 0.65]}, "price": {"r2": [0.1, 0.4]}}


def said(**kinds: str) -> list[str]:
    over = {**OVER, "kind": kinds}
    return verdict({**RESULT, "gain": {**RESULT["gain"], "over_reference": over}})


def test_a_reference_that_is_better() -> None:
    assert said(grade="lost", price="won") == [
        "A reference model is better on 1 of 2 tasks: grade accuracy 0.600 vs 0.640 with "
        "linear_text (-6.2 %, 95 % interval -9.0 to -3.5)."
    ]


def test_noise_is_no_victory() -> None:
    lost, equal = said(grade="lost", price="noise")
    assert lost.startswith("A reference model is better")
    assert equal == (
        "Not better than the reference model beyond noise on 1 of 2 tasks: "
        "price r2 0.250 vs 0.200 with mean (+25.0 % of the reference's spread)."
    )


def test_a_joint_model_that_is_better() -> None:
    (line,) = said(grade="won", price="won")
    assert line == "Better than the best reference model on every task: +9.4 % on average."


def test_the_sentence_follows_those_on_other_baselines() -> None:
    gain = {**RESULT["gain"], "against": "single_task", "kind": {"grade": "won", "price": "won"}}
    baselines = {"single_task": BEST, "reference": BEST}
    first, last = verdict({**RESULT, "baselines": baselines, "gain": gain})
    assert first.startswith("Multi-task learning helps on 2 of 2 tasks")
    assert last.startswith("A reference model is better")


@pytest.mark.parametrize(
    ("name", "with_interval"),
    [
        ("grade", ["fused", "tabular"]),
        ("recommended", ["fused", "tabular", "reference"]),  # and gains in percent alone
        ("recommended to", ["fused", "tabular"]),
        ("recommended to him", ["fused"]),
        ("recommended to a friend", []),
    ],
)
def test_intervals_of_baselines_where_they_fit(name: str, with_interval: list[str]) -> None:
    baselines = {key: {name: {"accuracy": 0.64}} for key in ("text", "tabular", "reference")}
    ends = {name: {"accuracy": [0.58, 0.68]}}
    result = {
        "mode": "multimodal",
        "test": {name: {"accuracy": 0.6}},
        "baselines": baselines,
        "gain": {"against": "tabular", "per_task": {name: -6.25}},
        "intervals": {"test": ends, "baselines": dict.fromkeys(baselines, ends)},
    }
    table = result_table(result)
    assert table.width <= WIDTH
    columns = dict(zip(table.header, table.rows[0], strict=True))
    assert [name for name, cell in columns.items() if cell.endswith(" ± 0.050")] == with_interval
    assert table.header[0] == ("test, ± 95 %" if with_interval else "test")


def test_sweeps_compare_the_gain_over_references() -> None:
    scores = scores_of({**RESULT, "gain": {**RESULT["gain"], "over_reference": OVER}})
    assert scores["gain/over_reference_percent"] == 9.4
    assert scores["baseline/grade/accuracy"] == 0.64


def test_without_intervals_the_table_is_as_it_was() -> None:
    header, *_ = result_table(RESULT).lines()
    assert header.split() == ["test", "joint", "reference", "gain"]
    with_ends = {**RESULT, "intervals": {"test": ENDS, "baselines": {"reference": ENDS}}}
    lines = result_table(with_ends).lines()
    assert lines[1].split("  ") == [
        "grade accuracy",
        "0.600 ± 0.050",
        "0.640 ± 0.050",
        " -0.040 (-6.2 %)",
    ]
