"""One line per epoch, and few enough of them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from jlrun.reporting.recorders.formats import format_score
from jlrun.training.recorder import MAIN_FIT, PhaseInfo, Position

LINES_PER_PHASE = 10
SILENCE_SECONDS = 60.0


def phase_title(fit: str, phase: str) -> str:
    """Return ``finetune``, or ``scratch: finetune`` for a phase of a baseline."""
    return phase if fit == MAIN_FIT else f"{fit}: {phase}"


class EpochLines:
    """The lines of a phase: every ceil(n / 10) epochs, or after a minute, and the last epoch.

    Of the model each epoch that is the best so far, too; of a baseline the best one of all.

    Args:
        phase: the phase.
        all_epochs: leave none out.
    """

    def __init__(self, phase: PhaseInfo, all_epochs: bool = False) -> None:
        self._phase = phase
        self._every = 1 if all_epochs else math.ceil(phase.num_epochs / LINES_PER_PHASE)
        self._withheld = ""
        self._best = ""  # line of the best epoch, until it is shown
        self._last = time.monotonic()

    def after(self, at: Position, summary: Mapping[str, float], best: bool) -> str:
        """Return ``finetune  epoch 12/40  loss 0.312  val digit accuracy 0.912  *`` when due.

        The star marks the best epoch of the phase so far. An empty string: nothing is due.
        """
        num_epochs = self._phase.num_epochs
        number = f"{at.epoch:>{len(str(num_epochs))}}/{num_epochs}"
        cells = [phase_title(at.fit, at.phase), f"epoch {number}", *summary_cells(summary)]
        line = "  ".join([*cells, "*"] if best else cells)
        silent = time.monotonic() - self._last > SILENCE_SECONDS
        due = at.epoch % self._every == 0 or at.epoch == num_epochs or silent
        due = due or (best and at.fit == MAIN_FIT)
        self._last = time.monotonic() if due else self._last
        self._withheld = "" if due else line
        if best:
            self._best = "" if due else line
        return line if due else ""

    def last(self) -> list[str]:
        """Return the lines of the best and of the last epoch, as far as they were not due."""
        return list(dict.fromkeys(filter(None, (self._best, self._withheld))))


def summary_cells(summary: Mapping[str, float]) -> list[str]:
    """Return ``loss 0.312``, ``val digit accuracy 0.912``, … from tags."""
    return [f"{tag_label(tag)} {format_score(value)}" for tag, value in summary.items()]


def tag_label(tag: str) -> str:
    """Return a tag in words: the slashes are for TensorBoard."""
    return "loss" if tag == "train/total_loss" else tag.replace("/", " ")
