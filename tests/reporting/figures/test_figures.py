"""Pictures: drawn without a warning, of the expected size, and showing what they were given."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from jlrun.reporting.figures.classes import confusion
from jlrun.reporting.figures.curves import curves
from jlrun.reporting.figures.retrieval import Query, retrieval
from jlrun.reporting.figures.samples import Sample, samples
from jlrun.reporting.recorders.figure_files import FigureFileRecorder, FigureFormat, png_bytes
from jlrun.reporting.recorders.metrics_csv import MetricsCsvRecorder
from jlrun.training.recorder import Position


def opened(figure: Figure) -> Image.Image:
    image = Image.open(io.BytesIO(png_bytes(figure)))
    image.load()
    assert image.format == "PNG"
    assert image.size == figure.canvas.get_width_height()
    return image


def overlapping_titles(figure: Figure) -> list[str]:
    """Return the titles of axes that run into the title of another."""
    figure.canvas.draw()
    boxes = {
        text.get_text(): text.get_window_extent()
        for text in (axes.title for axes in figure.axes if axes.get_visible())
        if text.get_text()
    }
    return [
        name
        for name, box in boxes.items()
        for other in boxes
        if other > name and box.overlaps(boxes[other])
    ]


def write_metrics(path: Path, fits: Mapping[str, Sequence[tuple[str, Sequence[str]]]]) -> Path:
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({})
    for fit, phases in fits.items():
        step = 0
        for phase, tasks in phases:
            for epoch in range(1, 6):
                step += 10
                at = Position(fit, phase, epoch, step)
                recorder.scalars(at, {f"train/{task}/loss": 1 / epoch for task in tasks})
                recorder.scalars(at, {"train/total_loss": 2 / epoch, "train/lr/body": 0.1})
                for task in tasks:
                    scores = {"loss": 1.0, "accuracy": epoch / 5, "macro_f1": 0.5}
                    recorder.scalars(at, {f"val/{task}/{m}": v for m, v in scores.items()})
    recorder.close()
    return path


def shown(figure: Figure) -> dict[str, dict[str, list[float]]]:
    """Return title of a column -> legend label -> steps, of its upper axes."""
    return {
        axes.get_title(): {
            str(line.get_label()): np.asarray(line.get_xdata()).tolist() for line in axes.lines
        }
        for axes in figure.axes
        if axes.get_title()
    }


def test_curves_of_transfer_begin_each_phase_at_zero(tmp_path: Path) -> None:
    path = write_metrics(
        tmp_path / "metrics.csv",
        {
            "main": [("pretrain", ["digit"]), ("finetune", ["digit"])],
            "scratch": [("train", ["digit"])],
        },
    )
    figure = curves(path)
    steps = [10, 20, 30, 40, 50]
    assert shown(figure) == {
        "pretrain: digit": {"model": steps},
        "finetune: digit": {"model": steps, "scratch": steps},
    }
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert labels == {"training loss", "validation accuracy"}
    assert opened(figure).size == (int(6.6 * 120), int(4.7 * 120))


def test_curves_of_tasks_lie_beside_each_other(tmp_path: Path) -> None:
    tasks = [f"attribute_{i}" for i in range(6)]
    fits = {"main": [("train", tasks)], **{f"single_task/{t}": [("train", [t])] for t in tasks}}
    figure = curves(write_metrics(tmp_path / "metrics.csv", fits))
    assert list(shown(figure)) == tasks
    assert all(list(lines) == ["model", "single_task"] for lines in shown(figure).values())
    assert overlapping_titles(figure) == []
    opened(figure)


def test_baselines_that_coincide_are_broad_below_narrow(tmp_path: Path) -> None:
    fits = {name: [("train", ["digit"])] for name in ("main", "image", "audio")}
    figure = curves(write_metrics(tmp_path / "metrics.csv", fits))
    lines = sorted(figure.axes[0].lines, key=lambda line: line.get_zorder())
    assert [line.get_label() for line in lines] == ["model", "image", "audio"]
    widths = [line.get_linewidth() for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3


def test_a_phase_of_two_epochs_has_no_panel(tmp_path: Path) -> None:
    recorder = MetricsCsvRecorder(tmp_path / "metrics.csv")
    recorder.rewind({})
    for phase, first, epochs in (("warmup", 0, 2), ("train", 2, 4)):
        for epoch in range(1, epochs + 1):
            at = Position("main", phase, epoch, 10 * (first + epoch))
            recorder.scalars(at, {"train/digit/loss": 1.0, "val/digit/accuracy": 0.5})
            at = Position("main", phase, epoch, at.step + 5)
            recorder.scalars(at, {"train/digit/loss": 0.9})
    recorder.close()
    figure = curves(tmp_path / "metrics.csv")
    assert list(shown(figure)) == ["digit"]
    assert figure.get_supxlabel() == "not drawn: warmup, of 2 epochs at most"


def test_curves_show_the_named_metric(tmp_path: Path) -> None:
    path = write_metrics(tmp_path / "metrics.csv", {"main": [("train", ["digit"])]})
    figure = curves(path, primary={"digit": "macro_f1"})
    assert "validation macro f1" in {axes.get_ylabel() for axes in figure.axes}
    assert not figure.legends  # one fit needs no legend


def test_curves_of_a_phase_without_scores_show_its_total_loss(tmp_path: Path) -> None:
    path = write_metrics(
        tmp_path / "metrics.csv", {"main": [("contrast", []), ("train", ["digit"])]}
    )
    assert list(shown(curves(path))) == ["contrast", "train: digit"]


def test_curves_of_a_run_without_numbers(tmp_path: Path) -> None:
    opened(curves(write_metrics(tmp_path / "metrics.csv", {})))


@pytest.mark.parametrize("num_classes", [2, 10, 37, 100])
def test_confusion(num_classes: int) -> None:
    matrix = 5 * torch.eye(num_classes, dtype=torch.long)
    matrix[0, 1] = 5
    figure = confusion(matrix, [f"a long class name {i}" for i in range(num_classes)], "task")
    axes = figure.axes[0]
    expected = num_classes / (num_classes + 1)
    assert axes.get_title() == f"task: accuracy {expected:.3f}"
    assert axes.images[0].get_array()[0, 1] == 0.5  # pyright: ignore[reportOptionalSubscript]
    numbers = [text.get_text() for text in axes.texts]
    recalls = [text.get_text() for a in axes.child_axes for text in a.get_yticklabels()]
    assert recalls[:2] == (["0.50 of 10", "1.00 of 5"] if num_classes <= 40 else [])
    assert numbers == (["5"] * (num_classes + 1) if num_classes <= 20 else [])
    worst = "a long class name 0 as a long class name 1 (5)"
    assert (worst in axes.get_xlabel()) == (num_classes > 20)
    assert max(opened(figure).size) <= 1200


def test_confusion_without_rows_of_a_class() -> None:
    opened(confusion(torch.tensor([[0, 0], [1, 2]]), ["no", "yes"], "task"))
    opened(confusion(torch.zeros(2, 2), ["no", "yes"], "task"))


def written(figure: Figure) -> list[str]:
    """Return the texts of a figure of samples: titles, texts that are inputs, captions."""
    (axes,) = figure.axes
    return [text.get_text() for text in axes.texts]


def test_samples_mark_what_is_wrong() -> None:
    image = torch.rand(1, 8, 8)
    figure = samples(
        [Sample(image, "3", "3", 0.9, True), Sample(image, "3", "8", 0.5, False)], "digit"
    )
    assert written(figure) == ["digit", "✓ 3 (0.90)\n", "✗ 8 (0.50)\ntrue: 3"]
    (axes,) = figure.axes
    _, right, wrong = axes.texts
    assert right.get_color() != wrong.get_color()
    thin, thick = axes.patches
    assert thin.get_linewidth() < thick.get_linewidth()
    assert thick.get_edgecolor() == to_rgba(str(wrong.get_color()))
    opened(figure)


def test_mistakes_are_a_second_panel() -> None:
    right, wrong = Sample("fine", "a", "a", 0.9, True), Sample("odd", "b", "a", 0.8, False)
    figure = samples([right, right], "two rows", [wrong], "mistakes")
    expected = ["two rows", *["fine", "✓ a (0.90)\n"] * 2, "mistakes", "odd", "✗ a (0.80)\ntrue: b"]
    assert written(figure) == expected
    opened(figure)


LONG = "staffordshire_bull_terrier"
OF_EVERY_KIND = [
    Sample(torch.rand(3, 32, 48), LONG, "american_pit_bull_terrier", 0.5, False),
    Sample(torch.rand(1, 8, 8), "1", "1"),
    Sample(torch.rand(2, 8, 8), "W" * 30, "M" * 30, 0.25, False),
    Sample(torch.linspace(-1, 1, 4000), "3", "日本" * 20, 1.0, True),
    Sample(torch.full((40, 3), 2.0), "3", LONG.upper(), 1.0, True),
    Sample("a text of more words than fit into one cell " * 5, "good", "good", 0.7, True),
    Sample("", "3.21", "2.98"),
]


def test_samples_of_every_kind() -> None:
    figure = samples(OF_EVERY_KIND * 2)
    texts = written(figure)
    assert sum("\ntrue: " in text or text.endswith("\n") for text in texts) == 14
    assert not any(LONG in text for text in texts)
    assert texts[7:9] == ["", "2.98\ntrue: 3.21"]
    opened(figure)


@pytest.mark.parametrize("texts", [True, False])
def test_no_two_texts_of_samples_overlap(texts: bool) -> None:
    rows = OF_EVERY_KIND[: None if texts else 5]
    figure = samples(rows * 2, "a title", rows[:3], "another")
    opened(figure)
    (axes,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    with warnings.catch_warnings(action="ignore"):  # glyphs that the font lacks
        boxes = [t.get_window_extent(renderer) for t in axes.texts if t.get_text().strip()]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_figures_become_files(tmp_path: Path) -> None:
    recorder = FigureFileRecorder(tmp_path / "figures")
    recorder.figure("confusion/digit", Figure(figsize=(2, 1), dpi=50), 3)
    recorder.figure("confusion/digit", Figure(figsize=(4, 1), dpi=50), 5)
    (file,) = (tmp_path / "figures").iterdir()
    assert file.name == "confusion_digit.png"
    with Image.open(file) as image:
        assert image.size == (200, 50)


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_vector_figures_are_the_same_whenever_they_are_drawn(
    tmp_path: Path, kind: FigureFormat
) -> None:
    contents = []
    for name in "ab":
        figure = samples([Sample("some words", "x", "x", 0.9, True)], "digit")
        FigureFileRecorder(tmp_path / name, kind).figure("confusion/digit", figure, 3)
        (file,) = (tmp_path / name).iterdir()
        assert file.name == f"confusion_digit.{kind}"
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"%PDF" if kind == "pdf" else b"<?xml")
    assert kind == "pdf" or b"some words" in contents[0], "a text that can be found"


def test_no_global_state_is_touched() -> None:
    before = dict(matplotlib.rcParams)
    png_bytes(samples([Sample("text", "a", "a")]))
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_a_phase_without_tasks_shows_the_recall_that_selected(tmp_path: Path) -> None:
    recorder = MetricsCsvRecorder(tmp_path / "metrics.csv")
    recorder.rewind({})
    at = Position("main", "self_supervised", 1, 10)
    recorder.scalars(at, {"train/total_loss": 2.0, "retrieval/val/recall_at_1": 0.25})
    recorder.close()
    figure = curves(tmp_path / "metrics.csv")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_ylabel() for axes in shown] == ["training loss", "validation recall at 1"]


def test_right_images_are_framed() -> None:
    image = torch.rand(3, 4, 4)
    queries = [
        Query("a red circle", [image] * 3, [True, False, True]),
        Query("a ring", [image], [False]),
    ]
    figure = retrieval(queries, "text to image")
    cells = [axes for axes in figure.axes if axes.get_visible() and axes.images]
    framed = [axes.spines["left"].get_linewidth() > 1 for axes in cells]
    assert framed == [True, False, True, False]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["a red circle", "a ring"]
