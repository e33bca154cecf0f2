"""What a zero-shot run says at its end."""

from __future__ import annotations

from jlrun.reporting.recorders.closing_lines import zero_shot_lines

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
