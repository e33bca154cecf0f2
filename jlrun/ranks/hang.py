"""Hang: which ranks a collective waits for, by where each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a rank is.

    Attributes:
        call: the collective that it is in; None: in none.
        number: of its collectives so far.
        seconds: that it has been in it.
        code: file, line and function of its main thread.
    """

    call: str | None
    number: int
    seconds: float | None
    code: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Place:
        """Return what `to_json` gave."""
        return cls(**found)


def hang_line(places: Mapping[int, Place], size: int, timeout: float) -> str | None:
    """Return one line: the collective, and the ranks that have not arrived.

    Args:
        places: rank -> where it is, of those that answered.
        size: number of ranks.
        timeout: seconds that a collective may wait.

    Returns:
        None if no rank waits as long any more.
    """
    late = [p for p in places.values() if p.seconds is not None and p.seconds > timeout]
    if not late:
        return None
    last = max(late, key=lambda p: p.number)
    waiting = [r for r, p in places.items() if p.call == last.call and p.number == last.number]
    missing = [rank for rank in range(size) if rank not in waiting]
    what = f"{last.call} number {last.number}" + (f" at {last.code}" if last.code else "")
    if not missing:
        return f"all ranks have waited {timeout:g} s in {what}: the network between them fails"
    named = ", ".join(f"rank {rank}{_doing(places.get(rank))}" for rank in missing)
    return f"{what} has waited {timeout:g} s for {named}"


def _doing(place: Place | None) -> str:
    if place is None:
        return ", which does not answer"
    at = f" at {place.code}" if place.code else ""
    if place.call is not None:
        return f", which is in {place.call} number {place.number}{at}"
    return f", which is{at}" if at else ", which is elsewhere"
