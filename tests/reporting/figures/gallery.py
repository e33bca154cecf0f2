"""Every figure that jlrun draws, on fixed data: for image tests, and for the contact sheet.

``python -m tests.reporting.figures.gallery`` draws both anew: ``baselines/*.png`` next to this file
and ``docs/figures.png``. The data are made up to show what a figure can show; they are nobody's
results.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw, ImageFont

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.reporting.figures.classes import confusion, per_class
from jlrun.reporting.figures.compared import NamedCurves, compared_curves
from jlrun.reporting.figures.cosines import gradient_cosines, task_affinity
from jlrun.reporting.figures.curves import curves
from jlrun.reporting.figures.missing import contribution, missing
from jlrun.reporting.figures.regression import predicted_numbers
from jlrun.reporting.figures.reliability import reliability
from jlrun.reporting.figures.retrieval import Query, retrieval
from jlrun.reporting.figures.sample_rows import described, sampled, worst
from jlrun.reporting.figures.samples import samples
from jlrun.reporting.figures.weights import weights
from jlrun.reporting.figures.wise_ft import wise_ft
from jlrun.reporting.recorders.metrics_csv import MetricsCsvRecorder, read_curves
from jlrun.reporting.task_relations import Relations
from jlrun.runs.sweeps.comparison import compare
from jlrun.runs.sweeps.pareto import pareto
from jlrun.runs.sweeps.records import Group, JobRecord, group_by_overrides
from jlrun.runs.sweeps.report_tables import make_table
from jlrun.runs.sweeps.sweep_figure import sweep_figure
from jlrun.tasks import Multiclass, Regression, TaskSpec
from jlrun.training.recorder import Position

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASELINES = Path(__file__).with_name("baselines")
SHEET = Path(__file__).parents[3] / "docs" / "figures.png"
DPI = 40  # of baselines
SHEET_DPI = 80
SHEET_WIDTH = 1500
TASKS = ("digit", "parity", "slant")


def waves(count: int, speed: float, low: float, high: float) -> list[float]:
    """Return a curve that approaches ``high``, with a little unrest."""
    return [
        high - (high - low) * math.exp(-speed * i) + 0.01 * math.sin(3 * i) for i in range(count)
    ]


@contextmanager
def recorded(phases: Mapping[str, Mapping[str, int]]) -> Iterator[Path]:
    """Yield the ``metrics.csv`` of fits -> phase -> epochs."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.csv"
        record(path, phases)
        yield path


def record(path: Path, phases: Mapping[str, Mapping[str, int]]) -> None:
    tasks = TASKS[:2]
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({})
    for number, (fit, lengths) in enumerate(phases.items()):
        step = 0
        for phase, epochs in lengths.items():
            for epoch in range(1, epochs + 1):
                step += 10
                at = Position(fit, phase, epoch, step)
                for place, task in enumerate(tasks):
                    gain = 0.25 + 0.05 * place - 0.06 * min(number, 1)  # baselines coincide
                    score = waves(epoch + 1, gain, 0.3, 0.95)[-1]
                    recorder.scalars(at, {f"train/{task}/loss": 2 * (1 - score)})
                    recorder.scalars(at, {f"val/{task}/accuracy": score})
                    recorder.scalars(at, {f"weight/{task}": 1 + (place - 0.5) * score})
    recorder.close()


def digits(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first images of scikit-learn's digits in [0, 1], and what they show."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images[:count], dtype=torch.float32)[:, None] / 16
    return images, torch.tensor(found.target[:count])


def guesses(target: torch.Tensor, classes: int) -> torch.Tensor:
    """Return probabilities of which one in seven rows is wrong, each less sure than the last."""
    count = len(target)
    rows = torch.arange(count)
    found = torch.full((count, classes), 0.1 / classes, dtype=torch.float64)
    guess = torch.where(rows % 7 == 3, (target + 1) % classes, target)
    found[rows, guess] = 0.99 - 0.5 * rows.double() / count
    return found / found.sum(dim=1, keepdim=True)


def of_digits() -> Figure:
    images, target = digits(60)
    spec = TaskSpec("digit", Multiclass(), tuple("0123456789"))
    return drawn_samples(spec, RowPredictions(guesses(target, 10), target), list(images))


def of_prices() -> Figure:
    at = torch.arange(40)
    price = (150_000 + 20_000 * ((at * 17) % 40)).float()
    found = (price * (1 + 0.1 * torch.sin(at.float())))[:, None].double()
    texts = [f"A flat of {40 + 3 * i} m² with a balcony, {i % 5 + 1} rooms" for i in range(40)]
    spec = TaskSpec("price", Regression(), ())
    return drawn_samples(spec, RowPredictions(found, price), texts)


def drawn_samples(
    spec: TaskSpec, rows: RowPredictions, inputs: Sequence[torch.Tensor | str]
) -> Figure:
    panels = [
        (described(spec, rows, at, [inputs[i] for i in at.tolist()]), what)
        for at, what in (sampled(spec, rows), worst(spec, rows))
    ]
    (shown, what), (mistakes, mistaken) = panels
    return samples(shown, f"{spec.name}: {what}", mistakes, f"mistakes: {mistaken}")


def of_confusion() -> Figure:
    matrix = torch.full((10, 10), 0, dtype=torch.long)
    for i in range(10):
        matrix[i, i] = 40 - i
        matrix[i, (i * 3 + 1) % 10] += i
    return confusion(matrix, [f"{i}" for i in range(10)], "digit, test split")


def of_classes() -> Figure:
    found = {
        name: {"precision": 0.9 - 0.05 * i, "recall": 0.6 + 0.04 * i, "f1": 0.75, "rows": 36 + i}
        for i, name in enumerate(("circle", "square", "triangle", "cross", "star", "heart"))
    }
    return per_class(found, "shape, test split")


def of_regression() -> Figure:
    true = 200_000 + 6_000 * torch.arange(150).double()
    off = 40_000 * torch.sin(1.7 * torch.arange(150).double()) + 8_000
    return predicted_numbers(true, true + off, "price, test split")


def of_reliability() -> Figure:
    centres = [(i + 0.5) / 10 for i in range(10)]
    bins = {"confidence": centres, "rows": [2, 3, 5, 8, 13, 21, 34, 55, 89, 144]}
    parts = {
        name: {"ece": ece, "bins": {**bins, "right": [min(1.0, c**power) for c in centres]}}
        for name, ece, power in (("test", 0.12, 1.6), ("test_calibrated", 0.02, 1.05))
    }
    return reliability({"temperature": 1.4, **parts}, "digit, test split")


def of_missing() -> Figure:
    scores = (0.61, 0.42, -0.04, 0.8, 0.7, 0.55, 0.93)
    names = ("image", "audio", "text", "image+audio", "image+text", "audio+text")
    subsets = dict(zip((*names, "image+audio+text"), scores, strict=True))
    return missing(
        {
            "subsets": {name: {"digit": {"r2": score}} for name, score in subsets.items()},
            "rates": [
                {
                    "rate": r,
                    "test": {"digit": {"r2": 0.93 - r / 2}},
                    "std": {"digit": {"r2": r / 9}},
                }
                for r in (0.0, 0.3, 0.5, 0.7, 0.9)
            ],
            "summary": {"digit": {"metric": "r2"}},
            "never_missing": ["text"],
        }
    )


def of_contribution() -> Figure:
    shares = {
        "metric": "accuracy",
        "none": 0.1,
        "all": 0.93,
        "shapley": {"image": 0.5, "audio": 0.36, "text": -0.03},
        "ablation": {"image": 0.38, "audio": 0.23, "text": -0.02},
        "never_missing": ["text"],
    }
    return contribution({"digit": shares, "parity": shares})


def relations() -> list[Relations]:
    pairs = {(a, b): 0.5 - 0.3 * (i + j) for i, a in enumerate(TASKS) for j, b in enumerate(TASKS)}
    cosine = {a: {b: pairs[a, b] for b in TASKS if b != a} for a in TASKS}
    affinity = {a: {b: (0.02 if a == b else pairs[a, b] / 100) for b in TASKS} for a in TASKS}
    return [Relations("train", TASKS, cosine, {}, {}, affinity)]


def needed(figure: Figure | None) -> Figure:
    assert figure is not None, "there is something to draw"
    return figure


def jobs(
    variants: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]], problem: str = "mode=x"
) -> list[Group]:
    """Return variants -> validation and test scores of tasks, with two seeds each."""
    found = []
    for variant, (val, test) in variants.items():
        for seed in (0, 1):
            numbers = {"val/mean_score": sum(val) / len(val) + 0.01 * seed}
            for task, on_val, on_test in zip(TASKS, val, test, strict=False):
                numbers |= {f"val/{task}/accuracy": on_val + 0.01 * seed}
                numbers |= {f"test/{task}/accuracy": on_test - 0.01 * seed}
                beaten = 0.6 if problem == "mode=x" else on_test / 2
                numbers |= {f"baseline/{task}/accuracy": beaten}
            primary = dict.fromkeys(TASKS[: len(val)], "accuracy")
            overrides = (problem, variant, f"seed={seed}")
            found.append(JobRecord(f"{len(found)}", "completed", overrides, seed, numbers, primary))
    return group_by_overrides(found)


def of_front(tasks: int) -> Figure:
    scores = {
        "weighting=equal": ((0.9, 0.5, 0.6), (0.84, 0.56, 0.6)),
        "weighting=uncertainty": ((0.8, 0.8, 0.7), (0.82, 0.7, 0.6)),
        "weighting=pcgrad": ((0.6, 0.9, 0.65), (0.66, 0.8, 0.7)),
        "weighting=famo": ((0.7, 0.6, 0.5), (0.7, 0.6, 0.5)),
    }
    cut = {name: (val[:tasks], test[:tasks]) for name, (val, test) in scores.items()}
    (found,) = compare(jobs(cut))
    return pareto(found, [name.partition("=")[2] for name in cut], ["weighting"])


def of_shots() -> Figure:
    scores = {1: 0.55, 2: 0.7, 5: 0.83, 10: 0.9}
    groups = jobs({f"target.shots={n}": ((s,), (s,)) for n, s in scores.items()}, "mode=transfer")
    return needed(sweep_figure(groups, make_table(groups)))


def of_sweep(keys: int) -> Figure:
    values = [(w, lr, d) for w in ("equal", "famo") for lr in ("1e-3", "1e-2") for d in "04"]
    names = ("weighting", "optimizer.lr", "depth")[:keys]
    found = []
    for i, value in enumerate(dict.fromkeys(value[:keys] for value in values)):
        overrides = [f"{name}={text}" for name, text in zip(names, value, strict=True)]
        numbers = {"val/mean_score": 0.7 + 0.03 * i, "test/digit/accuracy": 0.7 + 0.02 * i}
        record = JobRecord(f"{i}", "completed", tuple(overrides), 0, numbers, {"digit": "accuracy"})
        found.append(record)
    groups = group_by_overrides(found)
    return needed(sweep_figure(groups, make_table(groups)))


def of_retrieval() -> Figure:
    images, target = digits(20)
    queries = [
        Query(f"a handwritten {i}", [images[(i + k) % 20] for k in range(5)], right)
        for i, right in enumerate(
            [[(target[(i + k) % 20] == i).item() for k in range(5)] for i in range(4)]
        )
    ]
    return retrieval(queries, "text to image, test split")


def of_wise_ft() -> Figure:
    points = [
        {"alpha": a, "source": 0.95 - 0.5 * a * a, "target": 0.6 + 0.3 * a, "selected": a == 0.75}
        for a in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return wise_ft(points, "accuracy")


def of_transfer_curves() -> Figure:
    fits: dict[str, dict[str, int]] = {"main": {"warmup": 2, "finetune": 20}}
    with recorded({**fits, "scratch": {"train": 20}, "source_only": {"train": 20}}) as path:
        return curves(path)


def of_weights() -> Figure:
    with recorded({"main": {"train": 20}}) as path:
        return needed(weights(path))


def of_compared() -> Figure:
    with recorded({"main": {"train": 12}}) as path:
        one = read_curves(path)
    return compared_curves([NamedCurves("a  first run", one, {}), NamedCurves("b  again", one, {})])


# name -> what draws it, and in which words the contact sheet describes it
FIGURES: Mapping[str, tuple[Callable[[], Figure], str]] = {
    "curves": (of_transfer_curves, "curves: the model, and its baselines above it"),
    "samples_classes": (of_digits, "samples/predictions: over classes, and the worst mistakes"),
    "samples_texts": (of_prices, "samples/predictions: texts with numbers"),
    "confusion": (of_confusion, "confusion/<task>"),
    "per_class": (of_classes, "per_class/<task>"),
    "regression": (of_regression, "regression/<task>"),
    "reliability": (of_reliability, "reliability/<task>"),
    "missing": (of_missing, "missing"),
    "contribution": (of_contribution, "contribution"),
    "gradient_cosines": (lambda: needed(gradient_cosines(relations())), "gradient_cosines"),
    "task_affinity": (lambda: needed(task_affinity(relations())), "task_affinity"),
    "weights": (of_weights, "weights"),
    "retrieval": (of_retrieval, "retrieval/<space>/<way>"),
    "wise_ft": (of_wise_ft, "wise_ft/<task>"),
    "pareto": (lambda: of_front(2), "pareto, of two tasks"),
    "pareto_many": (lambda: of_front(3), "pareto, of more tasks"),
    "shots": (of_shots, "sweep over shots: the transfer curve"),
    "sweep_lines": (lambda: of_sweep(1), "sweep over one key"),
    "sweep_map": (lambda: of_sweep(2), "sweep over two keys"),
    "sweep_parallel": (lambda: of_sweep(3), "sweep over more keys"),
    "compared": (of_compared, "jlrun compare RUN RUN --output FILE"),
}


def drawn(figure: Figure, dpi: int) -> Image.Image:
    """Return a figure at a resolution."""
    buffer = io.BytesIO()
    figure.set_dpi(dpi)  # of the layout, too
    figure.savefig(buffer, format="png", dpi=dpi)
    return Image.open(buffer).convert("RGB")


def contact_sheet(figures: Mapping[str, Image.Image]) -> Image.Image:
    """Return the pictures in rows under their names."""
    font, line, gap = ImageFont.load_default(16), 28, 18
    places: list[tuple[str, int, int]] = []
    x = y = height = 0
    for name, image in figures.items():
        if x and x + image.width > SHEET_WIDTH:
            x, y, height = 0, y + height + gap + line, 0
        places.append((name, x, y))
        x, height = x + image.width + gap, max(height, image.height)
    sheet = Image.new("RGB", (SHEET_WIDTH, y + height + line), "white")
    pen = ImageDraw.Draw(sheet)
    for name, left, top in places:
        pen.text((left + 4, top + 4), name, fill="#333333", font=font)
        sheet.paste(figures[name], (left, top + line))
    return sheet


def main() -> None:
    """Write the baselines and the contact sheet."""
    BASELINES.mkdir(exist_ok=True)
    shown: dict[str, Any] = {}
    for name, (draw, title) in FIGURES.items():
        figure = draw()
        drawn(figure, DPI).save(BASELINES / f"{name}.png", optimize=True)
        shown[title] = drawn(draw(), SHEET_DPI)
    few_colours = contact_sheet(shown).quantize(128, dither=Image.Dither.NONE)
    few_colours.save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
