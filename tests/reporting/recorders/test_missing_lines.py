"""What a run says of its modalities at its end."""

from __future__ import annotations

from typing import Any

from jlrun.reporting.recorders.missing_lines import contribution_lines, missing_lines


def at(rate: float, score: float) -> dict[str, Any]:
    return {"rate": rate, "test": {"digit": {"accuracy": score, "loss": 1.0}}}


RESULT = {
    "missing": {
        "rates": [at(0.0, 0.95), at(0.3, 0.9), at(0.75, 0.8)],
        "summary": {
            "digit": {
                "metric": "accuracy",
                "mean": 0.7,
                "worst": 0.5,
                "worst_subset": "audio",
                "area": 0.88,
            },
            "age": {
                "metric": "r2",
                "mean": None,
                "worst": None,
                "worst_subset": None,
                "area": None,
            },
        },
    },
    "contribution": {
        "digit": {
            "metric": "accuracy",
            "all": 0.95,
            "none": 0.1,
            "alone": {"image": 0.8, "audio": 0.5},
            "without": {"image": 0.5, "audio": 0.8},
            "shapley": {"image": 0.575, "audio": 0.275},
        }
    },
}


def test_contributions_stand_beside_what_they_are_made_of() -> None:
    assert contribution_lines(RESULT) == [
        "test                                    alone  without    adds",
        "digit accuracy (none 0.100, all 0.950)",
        "  image                                 0.800    0.500  +0.575",
        "  audio                                 0.500    0.800  +0.275",
    ]


def test_scores_at_rates_and_the_worst_subset() -> None:
    assert missing_lines(RESULT) == [
        "lost at random    0 %   30 %   75 %   area          worst",
        "digit accuracy  0.950  0.900  0.800  0.880  0.500 (audio)",
        "age r2              -      -      -      -              -",
    ]


def test_runs_of_one_modality_say_nothing() -> None:
    assert contribution_lines({}) == missing_lines({}) == []
    assert contribution_lines({"contribution": {}}) == []
