"""Tables of a sweep for documents, and what in them is significant."""

from __future__ import annotations

import random

import pytest
from scipy.stats import ttest_rel

from jlrun.runs.sweeps.records import Group, JobRecord, group_by_overrides
from jlrun.runs.sweeps.report_tables import as_latex, as_markdown, make_table
from jlrun.runs.sweeps.significance import differences, holm, paired_p_value
from jlrun.runs.sweeps.sweep_figure import sweep_figure

NAME = "test/digit/accuracy"
EQUAL, BETTER = [0.50, 0.52, 0.51, 0.53], [0.60, 0.63, 0.61, 0.62]


def _job(number: int, overrides: list[str], seed: int, score: float | None) -> JobRecord:
    texts = ("mode=multitask", *overrides, f"seed={seed}")
    if score is None:
        return JobRecord(str(number), "failed", texts, seed, {}, error="nan")
    scores = {"val/mean_score": score, NAME: score}
    return JobRecord(str(number), "completed", texts, seed, scores, {"digit": "accuracy"})


def _groups(*variants: tuple[list[str], list[float | None]]) -> list[Group]:
    return group_by_overrides(
        [
            _job(10 * i + seed, overrides, seed, score)
            for i, (overrides, scores) in enumerate(variants)
            for seed, score in enumerate(scores)
        ]
    )


def test_the_paired_t_test_is_that_of_scipy() -> None:
    found = paired_p_value(EQUAL, BETTER)
    assert found == pytest.approx(ttest_rel(EQUAL, BETTER).pvalue)
    assert paired_p_value([0.1, 0.2], [0.3, 0.5]) is None, "too few"
    assert paired_p_value([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]) is None, "all differ by the same"


def test_holm_is_the_step_down_method() -> None:
    # Holm 1979, by hand: 0.01·4, then the largest so far of 0.02·3, 0.03·2, 0.04·1.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_pure_noise_is_rarely_significant() -> None:
    rng = random.Random(0)
    hits = 0
    for _ in range(200):
        noise = [([f"lambda_={i}"], [rng.gauss(0.5, 0.02) for _ in range(4)]) for i in range(5)]
        hits += any(
            p is not None and p < 0.05 for p in differences(_groups(*noise), [NAME]).values()
        )
    assert hits <= 20  # 5 % are expected of whole tables


def test_the_table_has_a_column_for_each_swept_key_and_marks_the_best() -> None:
    groups = _groups(
        (["weighting=equal", "lambda_=1"], [*EQUAL]),
        (["weighting=dwa", "lambda_=1"], [*BETTER]),
        (["weighting=a|b_c", "lambda_=2"], [0.1, None, None, None]),
    )
    lines = as_markdown(make_table(groups)).splitlines()
    assert lines[0] == "| weighting | lambda_ | n | failed | digit accuracy |"
    assert lines[2] == "| equal | 1 | 4 | 0 | 0.515 ± 0.013 |"
    assert lines[3] == "| dwa | 1 | 4 | 0 | **0.615 ± 0.013** ▲ |"
    assert lines[4] == r"| a\|b_c | 2 | 1 | 3 | 0.100 |"
    assert "paired t-test over seeds" in lines[-1]
    latex = as_latex(make_table(groups))
    assert r"dwa & 1 & 4 & 0 & \textbf{0.615} $\pm$ 0.013$^{\uparrow}$ \\" in latex
    assert r"a|b\_c & 2 & 1 & 3 & 0.100 \\" in latex


def test_smaller_errors_are_the_best() -> None:
    jobs = [
        JobRecord(
            str(i), "completed", (f"lambda_={i}", "seed=0"), 0,
            {"test/price/mae": score}, {"price": "mae"},
        )
        for i, score in enumerate((3.0, 2.0))
    ]  # fmt: skip
    table = make_table(group_by_overrides(jobs))
    assert [cells[0].best for _, _, _, cells in table.rows] == [False, True]


@pytest.mark.parametrize("keys", [1, 2, 3])
def test_each_number_of_keys_has_its_figure(keys: int) -> None:
    names = ["optimizer.lr=", "batch_size=", "lambda_="][:keys]
    variants = [([f"{name}{10**-i * (j + 1)}" for j, name in enumerate(names)], [0.5, 0.6 - i / 10])
                for i in range(3)]  # fmt: skip
    groups = _groups(*variants)
    figure = sweep_figure(groups, make_table(groups))
    assert figure is not None
    titles = {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}
    assert ("optimizer.lr" in titles) == (keys < 3)
    assert sweep_figure(groups[:1], make_table(groups[:1])) is None
