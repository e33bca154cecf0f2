"""Time that a run still takes, by the steps that are left and what steps have taken so far."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jlrun.reporting.recorders.formats import format_seconds
from jlrun.training.recorder import MAIN_FIT, PhaseInfo, PlannedFit

WORTH_A_LINE = 20.0  # seconds


class Remaining:
    """Estimate that is renewed with every epoch; phases that stop early end sooner.

    Args:
        fits: that are to come when the run begins.
    """

    def __init__(self, fits: Sequence[PlannedFit] = ()) -> None:
        self._left = {fit.name: {p.name: p.num_steps for p in fit.phases} for fit in fits}
        self._phase: PhaseInfo | None = None
        self._began = time.monotonic()
        self._last = self._began
        self._epochs = 0
        self._steps = 0  # of the phase, done by this process
        self.epoch_seconds = 0.0

    def begin_phase(self, phase: PhaseInfo) -> None:
        """Start the clock of a phase."""
        self._phase = phase
        self._began = self._last = time.monotonic()
        self._epochs = self._steps = 0

    def epoch(self, step: int) -> None:
        """Take note that an epoch has ended, at this step of the fit."""
        assert self._phase, "a phase begins before its epochs end"
        now = time.monotonic()
        self.epoch_seconds, self._last = now - self._last, now
        self._epochs += 1
        self._steps = step - self._phase.start_step
        left = self._phase.first_step + self._phase.num_steps - step
        self._left.setdefault(self._phase.fit, {})[self._phase.phase] = max(left, 0)

    def end_phase(self) -> None:
        """Take note that a phase is done, perhaps before its last epoch."""
        if self._phase:
            self._left.setdefault(self._phase.fit, {})[self._phase.phase] = 0

    @property
    def of_fit(self) -> float:
        """Seconds that the current fit still takes."""
        return self._seconds(
            sum(self._left.get(self._phase.fit, {}).values()) if self._phase else 0
        )

    @property
    def of_all(self) -> float:
        """Seconds that all fits still take, at the speed of the current one."""
        return self._seconds(sum(sum(phases.values()) for phases in self._left.values()))

    def line(self) -> str:
        """Return a line after the first epoch of a phase of the model; empty if it is soon done."""
        if not self._phase or self._phase.fit != MAIN_FIT or self._epochs != 1:
            return ""
        if self.of_all < WORTH_A_LINE:
            return ""
        text = f"{format_seconds(self.epoch_seconds)} an epoch: about {format_seconds(self.of_fit)}"
        others = self.of_all - self.of_fit
        rest = f", {format_seconds(self.of_all)} with all baselines" if others > 0 else ""
        return f"{text} to go{rest}, unless phases stop early"

    def _seconds(self, steps: int) -> float:
        taken = self._last - self._began
        return taken / self._steps * steps if self._steps > 0 else 0.0
