"""What a zero-shot run says at its end."""

from __future__ import annotations

from typing import Any

from jlrun.reporting.recorders.closing_lines import (
    contribution_lines,
    missing_lines,
    zero_shot_lines,
)

RESULT = {
    "zero_shot": {
        "unseen_classes": ["cat", "dog"],
        "seen_classes": ["cow", "hen", "pig"],
        "zsl_accuracy": 0.75,
        "unseen_accuracy": 0.1,
        "seen_accuracy": 0.9,
        "harmonic_mean": 0.18,
        "ausuc": 0.4,
        "chance": {"zsl_accuracy": 0.5},
        "calibrated": {"unseen_accuracy": 0.6, "seen_accuracy": 0.7, "harmonic_mean": 0.646},
    }
}


def test_scores_stand_beside_chance() -> None:
    assert zero_shot_lines(RESULT) == [
        "2 of 5 classes unseen: cat, dog",
        "among unseen 0.750 (chance 0.500)",
        "among all    unseen 0.100, seen 0.900, harmonic mean 0.180, area 0.400",
        "calibrated   unseen 0.600, seen 0.700, harmonic mean 0.646",
    ]


def test_other_runs_say_nothing_of_it() -> None:
    assert zero_shot_lines({}) == []


def test_without_calibration_there_is_no_line_of_it_and_many_names_are_cut() -> None:
    names = [str(i) for i in range(20)]
    found = RESULT["zero_shot"] | {"calibrated": None, "unseen_classes": names}
    lines = zero_shot_lines({"zero_shot": found})
    assert len(lines) == 3
    assert lines[0].endswith("unseen: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …")


def at(rate: float, score: float) -> dict[str, Any]:
    return {"rate": rate, "test": {"digit": {"accuracy": score, "loss": 1.0}}}


MISSING_RESULT = {
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
    assert contribution_lines(MISSING_RESULT) == [
        "test                                    alone  without    adds",
        "digit accuracy (none 0.100, all 0.950)",
        "  image                                 0.800    0.500  +0.575",
        "  audio                                 0.500    0.800  +0.275",
    ]


def test_contributions_of_what_was_never_missing_are_marked() -> None:
    shares = {**MISSING_RESULT["contribution"]["digit"], "never_missing": ["audio"]}
    missing = {**MISSING_RESULT["missing"], "never_missing": ["audio"]}
    lines = contribution_lines({"missing": missing, "contribution": {"digit": shares}})
    assert [line[:9] for line in lines[2:4]] == ["  image  ", "  audio *"]
    assert lines[4].startswith("* in (nearly) every training row")


def test_scores_at_rates_and_the_worst_subset() -> None:
    assert missing_lines(MISSING_RESULT) == [
        "lost at random    0 %   30 %   75 %   area          worst",
        "digit accuracy  0.950  0.900  0.800  0.880  0.500 (audio)",
        "age r2              -      -      -      -              -",
    ]


def test_runs_of_one_modality_say_nothing() -> None:
    assert contribution_lines({}) == missing_lines({}) == []
    assert contribution_lines({"contribution": {}}) == []
