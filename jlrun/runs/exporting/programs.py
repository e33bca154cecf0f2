"""Export of a run as a program: its file, checked, with what describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jlrun.files.atomic import write_json, write_text
from jlrun.files.run_directory import BEST, LAST
from jlrun.runs.exporting.checking import BATCHES, check_export, difference_phrases
from jlrun.runs.exporting.model_card import CARD, model_card
from jlrun.runs.exporting.preprocessing import preprocessing
from jlrun.runs.exporting.program import Exportable, load_exportable
from jlrun.runs.exporting.runnable import FORMATS, Runnable
from jlrun.runs.exporting.use import use_of
from jlrun.runs.exporting.writing import PREPROCESSING, write_folder


@dataclass(frozen=True)
class WrittenProgram:
    """Program that was written.

    Attributes:
        num_bytes: size of its file, and of weights next to it.
        differences: of each task, in words: how far predictions are from those of the run.
    """

    num_bytes: int
    differences: Sequence[str]


def export_program(
    directory: Path,
    exported: str,
    output: Path,
    checkpoint: str = BEST,
    temperature: bool = False,
    thresholds: bool = False,
) -> WrittenProgram:
    """Write a run's model as a program, with ``preprocessing.json`` and the model card.

    The file is run before it takes its place, and must predict what the run predicts.

    Args:
        directory: of the run.
        exported: name of the format, one of `FORMATS`.
        output: folder, which `jlrun.runs.exporting.check_output` allows.
        checkpoint: ``best``, the selected weights, or ``last``.
        temperature: whether probabilities are those at the temperature fitted to validation rows.
        thresholds: whether tuned thresholds decide; they stand in ``preprocessing.json``.

    Raises:
        UserError: if there is no such run or checkpoint, a library is missing, the format can't
            hold the model, or its predictions differ by more than 1e-4.
    """
    run = load_exportable(directory, checkpoint, temperature, thresholds)
    file, written = FORMATS[exported](run), list[WrittenProgram]()

    def fill(folder: Path) -> None:
        file.save(folder)
        size = sum(each.stat().st_size for each in folder.iterdir())
        lines = difference_phrases(run, check_export(run, file, folder))
        description = preprocessing(run, exported)
        write_json(folder / PREPROCESSING, description)
        card = model_card(directory, _about(run, file, checkpoint, lines), use_of(description))
        write_text(folder / CARD, card)
        written.append(WrittenProgram(size, lines))

    write_folder(output, fill)
    return written[0]


def _about(run: Exportable, file: Runnable, checkpoint: str, lines: Sequence[str]) -> list[str]:
    shown = ", ".join(f"{task} {t:.3g}" for task, t in run.chosen.temperatures.items())
    probabilities = f"at temperature ({shown})" if shown else "as trained"
    sizes = " and ".join(map(str, BATCHES))
    return [
        f"`{file.file}` holds the model with the {_WEIGHTS[checkpoint]} weights in float32, from "
        "tensors by modality to predictions; `preprocessing.json` describes both. Probabilities "
        f"are {probabilities}.",
        f"Run when it was written, with {sizes} rows at once, it differed from the run's own "
        f"predictions: {'; '.join(lines)}.",
    ]


_WEIGHTS = {BEST: "selected", LAST: "last"}
