"""What is said of measurements: from records, from looks, in figures and in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from jlrun.reporting.figures.cosines import gradient_cosines
from jlrun.reporting.figures.weights import weights
from jlrun.reporting.recorders.figure_files import png_bytes
from jlrun.reporting.recorders.metrics_csv import MetricsCsvRecorder
from jlrun.reporting.recorders.verdict import hurt_sentences
from jlrun.reporting.task_relations import format_affinity, read_relations, sentence, summarise
from jlrun.training.diagnosis.measure import GradientMeasurement
from jlrun.training.recorder import Position

COSINES = {"a-b": [0.5, -0.1, -0.1], "a-c/d": [0.9, 0.9, 0.9], "b-c/d": [-0.6, -0.8]}


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """Return records of three steps with the tasks a, b and c/d; the last two did not meet once."""
    recorder = MetricsCsvRecorder(tmp_path / "metrics.csv")
    recorder.rewind({})
    for i in range(3):
        at = Position("main", "train", 1, i + 1)
        values = {f"gradient/norm/{task}": 1.0 for task in ("a", "b", "c/d")}
        values |= {f"gradient/cosine/{k}": v[i] for k, v in COSINES.items() if i < len(v)}
        values |= {f"weight/{task}": 1.0 + i * (task == "b") for task in ("a", "b", "c/d")}
        values |= {"gradient/descent/b": -0.1 if i else 0.1, "gradient/descent/a": 0.5}
        values |= {"affinity/a/a": 0.5, "affinity/a/b": -0.01 * i, "affinity/c/d/b": 0.1}
        recorder.scalars(at, values)
        scratch = Position("scratch", "train", 1, i + 1)
        recorder.scalars(scratch, {"gradient/norm/a": 1.0, "weight/a": 1.0 * i})
    recorder.close()
    return recorder.path


def test_relations_are_means_over_the_measurements(metrics: Path) -> None:
    (found,) = read_relations(metrics)
    assert (found.phase, found.tasks) == ("train", ("a", "b", "c/d"))
    assert found.cosine["a"] == pytest.approx({"b": 0.1, "c/d": 0.9})
    assert found.cosine["c/d"] == pytest.approx({"a": 0.9, "b": -0.7})
    assert found.opposed["b"] == pytest.approx({"a": 2 / 3, "c/d": 1.0})
    assert found.against_update == pytest.approx({"a": 0.0, "b": 2 / 3})
    assert found.affinity["a"] == pytest.approx({"a": 0.5, "b": -0.01})
    assert found.affinity["c/d"] == pytest.approx({"b": 0.1})


def test_without_measurements_there_are_no_relations(tmp_path: Path) -> None:
    assert read_relations(tmp_path / "metrics.csv") == []
    assert gradient_cosines([]) is None
    assert weights(tmp_path / "metrics.csv") is None


def test_the_heat_map_shows_the_mean_cosines(metrics: Path) -> None:
    figure = gradient_cosines(read_relations(metrics))
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)  # pyright: ignore
    nan = np.nan
    expected = [[nan, 0.1, 0.9], [0.1, nan, -0.7], [0.9, -0.7, nan]]
    np.testing.assert_allclose(drawn, expected)
    assert axes.images[0].get_clim() == (-1, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c/d"]
    cells = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert cells[1, 0] == cells[0, 1] == "+0.10"
    assert cells[2, 1] == "-0.70"
    assert len(cells) == 6
    assert png_bytes(figure)


def test_weights_are_drawn_where_they_change(metrics: Path) -> None:
    figure = weights(metrics)
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.lines}
    assert lines == {"a": [1.0, 1.0, 1.0], "b": [1.0, 2.0, 3.0], "c/d": [1.0, 1.0, 1.0]}
    assert png_bytes(figure)


def test_weights_that_never_change_are_not_drawn(tmp_path: Path) -> None:
    recorder = MetricsCsvRecorder(tmp_path / "metrics.csv")
    recorder.rewind({})
    for step in (1, 2):
        recorder.scalars(Position("main", "train", 1, step), {"weight/a": 1.0, "weight/b": 0.5})
        recorder.scalars(Position("main", "one task", 1, step), {"weight/a": float(step)})
    recorder.close()
    assert weights(recorder.path) is None


def test_a_task_that_lost_is_told_why(metrics: Path) -> None:
    (found,) = read_relations(metrics)
    result = {"diagnosis": found.to_json()}
    assert hurt_sentences(result, lost=["b"]) == [
        "b is hurt: the update opposes its gradient in 67 % of the measured steps; its gradient "
        "opposes c/d's in 100 % of the measured steps; a step on a alone raises its loss by 1 %."
    ]
    line = hurt_sentences(result, lost=["c/d"])[-1]
    assert line == "c/d is hurt: its gradient opposes b's in 100 % of the measured steps."
    assert hurt_sentences({}, lost=["a"]) == []


def a_look(
    gramian: list[list[float]], active: list[bool], affinity: list[list[float]]
) -> GradientMeasurement:
    return GradientMeasurement(
        tasks=("a", "b"),
        active=torch.tensor(active),
        losses=torch.tensor([1.0, 2.0]),
        gramian=torch.tensor(gramian, dtype=torch.float64),
        jacobian=None,
        affinity=torch.tensor(affinity, dtype=torch.float64),
    )


def test_looks_are_averaged_over_those_that_saw_a_task() -> None:
    nan, inf = float("nan"), float("inf")
    looks = [
        a_look([[4, -3], [-3, 9]], [True, True], [[0.1, -0.2], [0.3, -inf]]),
        a_look([[16, 4], [4, 4]], [True, True], [[0.3, 0.1], [0.1, nan]]),
        a_look([[1, 0], [0, 0]], [True, False], [[0.2, nan], [nan, nan]]),
    ]
    found = summarise(looks)
    assert found["loss"] == {"a": 1.0, "b": 2.0}
    assert found["gradient_norm"] == pytest.approx({"a": 7 / 3, "b": 2.5})
    assert found["cosine"]["a"]["b"] == pytest.approx(0.0)
    assert found["opposed"]["b"]["a"] == pytest.approx(0.5)
    assert found["affinity"]["a"] == pytest.approx({"a": 0.2, "b": -0.05})
    assert found["affinity"]["b"] == {"a": pytest.approx(0.2), "b": None}


def test_sentences_name_who_helps_and_who_hurts_most() -> None:
    affinity = {
        "a": {"a": 0.5, "b": 0.02, "c": -0.001, "d": 0.0},
        "b": {"a": None, "b": 0.5, "c": -0.03, "d": 0.0},
        "c": {"a": None, "b": 0.05, "c": 0.5, "d": 0.0},
        "d": {"a": -0.1, "b": -0.01, "c": -0.02, "d": 0.5},
    }
    assert sentence("a", affinity) == "a: helped by no task, hurt by d (-10 %)."
    assert sentence("b", affinity) == "b: helped most by c (+5.0 %), hurt by d (-1.0 %)."
    assert sentence("c", affinity) == "c: helped by no task, hurt most by b (-3.0 %)."
    assert sentence("d", affinity) == "d: no other task changes its loss."


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "+50 %"), (0.00312, "+0.31 %"), (-1.5, "-150 %"), (1e-9, "+1.0e-07 %"), (None, "-")],
)
def test_affinities_are_percentages_of_two_digits(value: float | None, text: str) -> None:
    assert format_affinity(value) == text
