"""Report on loading a weight file: loaded, skipped and missing tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_SHOWN = 5  # names in a line of a report

Kind = Literal["unknown", "shape", "elsewhere"]


@dataclass(frozen=True)
class Skipped:
    """Tensor of the file that was not loaded.

    Attributes:
        name: in the file.
        reason: for messages.
        kind: ``unknown``: the model has nothing of that name; ``shape``: it has, of another shape;
            ``elsewhere``: it is of another part of the file than the one that was loaded.
        target: name in the model of the tensor that it would have filled, had the shapes been
            equal.
    """

    name: str
    reason: str
    kind: Kind = "unknown"
    target: str | None = None


@dataclass(frozen=True)
class LoadReport:
    """Report of `jlrun.models.weight_files.load_weights`.

    Attributes:
        loaded: names in the model of the tensors that were filled.
        skipped: tensors of the file that were not used.
        missing: names in the model of tensors that keep their initial values.
        notes: conversions, and possible differences of outputs.
    """

    loaded: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the report as lines of text; long lists of names are cut."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        total = len(self.loaded) + len(self.missing)
        yield f"loaded {len(self.loaded)} of {total} tensors: {_first(self.loaded)}"
        unknown = [s.name for s in self.skipped if s.kind == "unknown"]
        if unknown:
            yield f"skipped {len(unknown)}, not in the model: {_first(unknown)}"
        for skipped in self.skipped:
            if skipped.kind == "shape":
                yield f"skipped {skipped.name}: {skipped.reason}"
        elsewhere = [s.name for s in self.skipped if s.kind == "elsewhere"]
        if elsewhere:
            yield f"skipped {len(elsewhere)}, of another part of the file: {_first(elsewhere)}"
        if self.missing:
            yield f"{len(self.missing)} as initialised: {_first(self.missing)}"
        for note in self.notes:
            yield f"note: {note}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
