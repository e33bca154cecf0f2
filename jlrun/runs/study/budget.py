"""Budget of a study: time, runs or steps, and what is left of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jlrun.errors import UserError
from jlrun.wording import counted

_UNITS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]+)")
_EXPECTED = "expected a number and a unit: 90s, 10min, 2h, 40runs or 5000steps"


@dataclass(frozen=True)
class Budget:
    """What a study may spend.

    Attributes:
        amount: of ``unit``.
        unit: seconds, runs or steps.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Return the budget that a text such as ``10min`` states.

        Raises:
            UserError: if it is no such text.
        """
        match = _FORM.fullmatch(text.strip().lower())
        if match is None or not float(match["number"]):
            raise UserError.of("study.budget", f"'{text}': {_EXPECTED}")
        number, unit = float(match["number"]), match["unit"]
        if unit in _UNITS:
            return cls(number * _UNITS[unit], "seconds")
        unit = unit.rstrip("s") + "s"
        if unit not in {"runs", "steps"}:
            raise UserError.of("study.budget", f"'{text}': {_EXPECTED}")
        return cls(number, unit)

    def __str__(self) -> str:
        return counted(round(self.amount), self.unit.removesuffix("s"))

    def reaches(self, spent: Spent, next_run: Spent) -> bool:
        """Return whether one more run, as large as estimated, is within the budget."""
        return spent.of(self.unit) + next_run.of(self.unit) <= self.amount


@dataclass(frozen=True)
class Spent:
    """What runs took: wall seconds, optimizer steps, and their number."""

    seconds: float = 0.0
    steps: int = 0
    runs: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.steps + other.steps, self.runs + other.runs)

    def of(self, unit: str) -> float:
        """Return the amount of ``seconds``, ``steps`` or ``runs``."""
        return float(getattr(self, unit))
