"""What a run says of its calibration at its end."""

from __future__ import annotations

from jlrun.reporting.recorders.calibration_lines import calibration_lines, threshold_lines


def test_error_and_temperature_of_each_task() -> None:
    task = {"temperature": 1.5, "test": {"ece": 0.2}, "test_calibrated": {"ece": 0.05}}
    line = "a ECE 0.200 as trained, 0.050 with temperature 1.5"
    assert calibration_lines({"calibration": {"a": task}}) == [line]
    many = calibration_lines({"calibration": dict.fromkeys("abcdef", task)})
    assert many[4:] == ["and 2 more in result.json"]
    assert calibration_lines({}) == []


def test_scores_at_thresholds() -> None:
    found = {
        "tuned_for": "balanced_accuracy",
        "thresholds": {"b": 0.314},
        "half": {"f1": 0.5, "mean_class_accuracy": 0.6},
        "tuned": {"f1": 0.4, "mean_class_accuracy": 0.7},
    }
    line = "a mean_class_accuracy 0.600 at 0.5, 0.700 at 0.31 (b)"
    assert threshold_lines({"thresholds": {"a": found}}) == [line]
    labels = {"macro_f1": 0.5, "accuracy": 0.9}
    found = {"tuned_for": "f1", "half": labels, "tuned": labels}
    found["thresholds"] = dict.fromkeys("wxyz", 0.2)
    line = "a macro_f1 0.500 at 0.5, 0.500 at 0.20 (w), 0.20 (x), 0.20 (y), …"
    assert threshold_lines({"thresholds": {"a": found}}) == [line]
