"""When joint learning helps: transfer, several tasks and several modalities by labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from matplotlib.figure import Figure

from benchmarks.tables.declared import QUIET, Cell, Job, Table, of_model, only
from jlrun.reporting.figures.style import FAINT, FONT_SIZE, PALETTE
from jlrun.runs.sweeps.significance import LEAST_SEEDS

BATCH = 32
MOST_VAL = 20
SOURCE_EPOCHS = 3  # over 1,920 printed digits
SOURCE_STEPS = SOURCE_EPOCHS * 60
STEPS = 400  # of every row, those on the source included
SHOTS = (2, 5, 15, 50)  # of each of ten digits
IMAGE = ("backbone.image.channels=[16,32]", "backbone.image.hidden=64")
AUDIO = (
    "fusion=gated",
    "backbone.audio.channels=[8,16,32]",
    "backbone.audio.hidden=64",
    "backbone.audio.num_mels=32",
)


def common(modalities: str, shots: int = BATCH) -> tuple[str, ...]:
    """Return the overrides of all runs with such modalities and rows of each digit."""
    audio = AUDIO if "audio" in modalities else ()
    return (f"batch_size={min(BATCH, 10 * shots)}", "baselines=false", *IMAGE, *audio, *QUIET)


def epochs(steps: int, shots: int) -> int:
    """Return the passes over ten classes that make so many steps, at least."""
    return -(-steps // -(-10 * shots // min(BATCH, 10 * shots)))


def alone(shots: int, tasks: str, modalities: str) -> Job:
    """Return the run on the target's rows alone."""
    return Job(
        (
            "mode=multitask",
            "dataset=digits_dtmf",
            f"dataset.shots={shots}",
            f"dataset.val_shots={min(shots, MOST_VAL)}",
            f"tasks=[{tasks}]",
            f"modalities=[{modalities}]",
            f"epochs={epochs(STEPS, shots)}",
            *common(modalities, shots),
        )
    )


SOURCE = Job(
    (
        "mode=multitask",
        "dataset=printed_digits",
        "tasks=[digit]",
        f"epochs={SOURCE_EPOCHS}",
        *common("image"),
    )
)


def transferred(shots: int, tasks: str, modalities: str) -> Job:
    """Return the run that begins with an encoder of printed digits."""
    return Job(
        (
            "mode=transfer",
            "dataset@source=digits_dtmf",  # not read: the run below takes its place
            "dataset@target=digits_dtmf",
            "source.run={start}",
            f"target.shots={shots}",
            f"target.val_shots={min(shots, MOST_VAL)}",
            f"tasks=[{tasks}]",
            f"modalities=[{modalities}]",
            f"epochs={epochs(STEPS - SOURCE_STEPS, shots)}",
            *common(modalities, shots),
        ),
        {"start": SOURCE},
    )


ALONE = "alone"
ROWS = {
    ALONE: (alone, "digit", "image"),
    "second task": (alone, "digit,parity", "image"),
    "second modality": (alone, "digit", "image,audio"),
    "transfer": (transferred, "digit", "image"),
    "second task and modality": (alone, "digit,parity", "image,audio"),
    "transfer and second task": (transferred, "digit,parity", "image"),
    "transfer and second modality": (transferred, "digit", "image,audio"),
    "all three": (transferred, "digit,parity", "image,audio"),
}


def cells() -> list[Cell]:
    return [
        Cell(name, f"{shots} per digit", only(make(shots, *rest)), of_model("digit"))
        for name, (make, *rest) in ROWS.items()
        for shots in SHOTS
    ]


def drawn(scores: Mapping[str, Mapping[str, Mapping[int, float]]]) -> Figure:
    """Draw the gain over learning alone by the number of labelled rows."""
    figure = Figure(figsize=(5.6, 3.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=FAINT, linewidth=1)
    for name, colour in zip((row for row in ROWS if row != ALONE), PALETTE, strict=False):
        points = []
        for shots in SHOTS:
            rows = scores.get(f"{shots} per digit", {})
            own, other = rows.get(name, {}), rows.get(ALONE, {})
            gains = [own[seed] - other[seed] for seed in own.keys() & other.keys()]
            if len(gains) >= LEAST_SEEDS:
                points.append((shots, 100 * fmean(gains)))
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=colour, label=name, markersize=3)
    axes.set_xscale("log")
    axes.set_xticks(SHOTS, [str(shots) for shots in SHOTS])
    axes.minorticks_off()
    axes.set_xlabel("labelled rows of each digit", fontsize=FONT_SIZE)
    axes.set_ylabel("gain over learning alone, points", fontsize=FONT_SIZE)
    axes.legend(fontsize=FONT_SIZE - 1, frameon=False)
    return figure


TABLES = (
    Table(
        "joint_digits",
        "When does joint learning help? Digits by the number of labelled rows",
        f"""Task: which digit a damaged 8 × 8 image shows (`digits_dtmf`), from few labelled
rows and {STEPS} steps in all. *second task* also learns whether it is odd, which adds no label
that the digit does not imply; *second modality* has the digit's telephone tone in noise as
well; *transfer* spends {SOURCE_STEPS} of its steps on printed digits, whose encoder of images
it begins with. Default rate, gated fusion, nothing tuned; weights are selected on as many
validation rows as there are to learn from, {MOST_VAL} of each digit at most. The test split has
359 rows.""",
        tuple(cells()),
        """A second modality adds 3, 8 and 10 points at 5, 15 and 50 rows of each digit: more with
more rows, since the tone must be learned, too; corrected for the number of comparisons three seeds
do not prove it. A second task that adds no information helps at none of these. Transfer and the
combinations were not run to their end.""",
        seeds=(0, 1, 2, 3, 4),
        reference=ALONE,
        figure=drawn,
    ),
)
