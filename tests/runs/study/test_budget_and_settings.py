"""Settings of studies as typed, and budgets."""

import pytest

from jlrun.errors import UserError
from jlrun.runs.study.budget import Budget, Spent
from jlrun.runs.study.settings import QUESTIONS, divided


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("90s", 90, "seconds"),
        ("1.5min", 90, "seconds"),
        ("2h", 7200, "seconds"),
        ("40runs", 40, "runs"),
        ("1 run", 1, "runs"),
        ("5000steps", 5000, "steps"),
    ],
)
def test_budgets(text, amount, unit):
    assert Budget.parse(text) == Budget(amount, unit)


@pytest.mark.parametrize("text", ["", "10", "min", "0min", "-3min", "10 weeks", "1e3s"])
def test_what_is_no_budget(text):
    with pytest.raises(UserError, match=r"study\.budget.*10min"):
        Budget.parse(text)


def test_a_budget_reaches_a_run_that_fits_in_what_is_left():
    budget = Budget(10, "seconds")
    assert budget.reaches(Spent(7, 100, 3), Spent(3, 0, 1))
    assert not budget.reaches(Spent(7, 100, 3), Spent(3.1, 0, 1))
    assert Budget(3, "runs").reaches(Spent(1e9, 0, 2), Spent(1e9, 0, 1))


def test_settings_are_divided_from_the_overrides_of_runs():
    texts = ["dataset=digits", "study.seeds=2", "study.weightings=[pcgrad,famo]", "epochs=3"]
    settings, others = divided(texts)
    assert others == ["dataset=digits", "epochs=3"]
    assert settings.seeds == 2
    assert settings.weightings == ("pcgrad", "famo")
    assert settings.questions == QUESTIONS


def test_a_list_of_one_needs_no_brackets():
    assert divided(["study.weightings=pcgrad"])[0].weightings == ("pcgrad",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study.seed=3", "Did you mean 'study.seeds'"),
        ("study.seeds=0", "greater than 0"),
        ("study.seeds=many", "integer"),
        ("study.questions=[joint,odd]", "'alone', 'joint'"),
        ("study.shares=[1.5]", "between 0 and 1"),
        ("study.budget", "study.budget=VALUE"),
    ],
)
def test_wrong_settings(text, said):
    with pytest.raises(UserError, match=said):
        divided([text])
