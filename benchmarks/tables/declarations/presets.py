"""What the commands of the README's first page give."""

from __future__ import annotations

from benchmarks.tables.declared import QUIET, Cell, Job, Result, Score, Table, of_model, only

# Command -> its two tasks, and what its gain is over.
COMMANDS = {
    "mode=transfer": ("digit", "parity", None),
    "mode=transfer strategy=joint": ("digit", "parity", None),
    "mode=multitask": ("digit", "parity", None),
    "mode=multitask dataset=multidigits": ("left", "right", None),
    "mode=multimodal": ("digit", "parity", "over_ensemble"),
}


def gain(over: str | None) -> Score:
    """Return the mean relative gain over the tasks, as a share."""

    def score(result: Result) -> float:
        found = result["gain"] if over is None else result["gain"][over]
        return found["delta_m_percent"] / 100

    return score


def cells() -> list[Cell]:
    found = []
    for command, (first, second, over) in COMMANDS.items():
        job = only(Job((*command.split(), *QUIET)))
        found += [
            Cell(command, "digit, or left", job, of_model(first)),
            Cell(command, "parity, or right", job, of_model(second)),
            Cell(command, "Δm over the baseline", job, gain(None)),
        ]
        if over is not None:
            found.append(Cell(command, "Δm over the ensemble", job, gain(over)))
    return found


TABLES = (
    Table(
        "presets",
        "What the first commands give",
        """Each row is a command with its defaults. Δm is the mean over tasks of the relative
gain over the baseline that the run trains by itself: from scratch in transfer, a model for each
task in multi-task learning, the best single modality in multimodal learning.""",
        tuple(cells()),
        conclusion="""With five labels a class a source is worth 7 to 9 percent, and learning
from it jointly about as much as fine-tuning. A second task on the same digits is worth nothing,
on one network for two overlapped digits likewise. A second modality is worth 8 percent over the
better one, but averaging two models of one modality each is better still by 1.7.""",
        unit="%",
    ),
)
