"""Options of scoring shared spaces."""

from __future__ import annotations

from dataclasses import dataclass

from jlrun.data.batch import Batch
from jlrun.objective.terms.cross_modal.base import check_column


@dataclass(frozen=True)
class Retrieval:
    """Options of the config group ``retrieval``.

    Attributes:
        positives: target columns; rows with equal labels in all of them are right answers for each
            other. Empty: rows with equal text are.
        templates: sentences with one ``{}`` for the name of a class.
        rows: at most this many rows of a split are embedded.
    """

    positives: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    rows: int = 5000

    def check(self, batch: Batch) -> None:
        """Check that rows have what `positives` names.

        Raises:
            UserError: if one is no target column with classes.
        """
        for name in self.positives:
            check_column("retrieval.positives", name, batch)
