"""SupCon: rows of a class are nearer to each other than to rows of other classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError, did_you_mean
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import compare_views, rows_with_views, sample_row
from jlrun.objective.terms.self_supervised.simclr import contrastive_loss
from jlrun.ranges import NonNegativeFloat, PositiveFloat, PositiveInt


class SupCon(Term):
    """R = the contrastive loss in which all rows of a class are positives of each other.

    Eq. (2) of Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020. Differs from it in: τ
    is 0.2 and not 0.1, as for `SimCLR`, and an unlabelled row has its own other view as its only
    positive. Classes of two streams are the same where one head serves both streams; without heads
    each stream has its own classes. Negatives are as in `SimCLR`.

    Args:
        weight: strength α of the term.
        temperature: τ, by which cosines are divided.
        labels: target column whose classes define positives; null: the first that holds classes.
        hidden: units of the projector's hidden layer.
        out_features: width of the projections.
    """

    needs: ClassVar[Need | None] = "views"
    compares_rows = True
    projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        temperature: PositiveFloat = 0.2,
        labels: str | None = None,
        hidden: PositiveInt = 512,
        out_features: PositiveInt = 128,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature
        self.labels = labels
        self.hidden = hidden
        self.out_features = out_features
        self._columns: dict[str, str] = {}  # stream -> target column
        self._groups: dict[str, int] = {}  # stream -> number of the set of classes it has

    def begin_phase(self, start: PhaseStart) -> None:
        """Build the projector and find the labels.

        Raises:
            UserError: if no row of the phase has a class.
        """
        candidates = {name: _class_columns(stream) for name, stream in start.streams.items()}
        self._columns = self._choose(candidates)
        keys = {name: _head_of(start, name, column) for name, column in self._columns.items()}
        order = list(dict.fromkeys(keys.values()))
        self._groups = {name: order.index(key) for name, key in keys.items()}
        made = projector(fused_width(start.model), self.hidden, self.out_features)
        self.projector = placed(made, start.model)

    def _choose(self, candidates: Mapping[str, list[str]]) -> dict[str, str]:
        known = list(dict.fromkeys(name for names in candidates.values() for name in names))
        if not known:
            raise UserError.of(
                "terms.supcon",
                f"it needs rows with classes, and {', '.join(candidates)} has none; "
                "use terms=[simclr], which needs no labels",
            )
        if self.labels is not None and self.labels not in known:
            raise UserError.of(
                "terms.supcon.labels",
                f"'{self.labels}' is not a target column with classes."
                f"{did_you_mean(self.labels, known)}",
            )
        wanted = {
            stream: [name for name in names if self.labels in (None, name)]
            for stream, names in candidates.items()
        }
        return {stream: names[0] for stream, names in wanted.items() if names}

    def forward(self, view: StepView) -> Tensor:
        batches = rows_with_views(view)

        def loss(first: Tensor, second: Tensor) -> Tensor:
            classes = self._classes(batches, first.device).repeat(2)
            return contrastive_loss(torch.cat([first, second]), classes, self.temperature)

        return compare_views(view, self.projector, loss)

    def _classes(self, batches: Mapping[str, Batch], device: torch.device) -> Tensor:
        """Return a number per row ``(N,)``, the same for rows of a class; below 0 if unlabelled."""
        found, num_groups = [], len(self._columns) or 1
        for name, batch in batches.items():
            column = self._columns.get(name, "")
            if column not in batch.targets:
                found.append(torch.full((batch.size,), -1, device=device))
                continue
            own = batch.targets[column].long() * num_groups + self._groups[name]
            mask = batch.labelled.get(column)
            found.append(own if mask is None else torch.where(mask, own, -1))
        classes = torch.cat(found)
        alone = -1 - torch.arange(len(classes), device=device)
        return torch.where(classes < 0, alone, classes)


def _class_columns(stream: Stream) -> list[str]:
    """Return the target columns of a stream that hold the classes of some rows."""
    return [
        name
        for name, y in sample_row(stream).targets.items()
        if y.ndim == 1 and not y.is_floating_point()
        if name not in stream.rows.labelled or bool(stream.rows.labelled[name].any())
    ]


def _head_of(start: PhaseStart, stream: str, column: str) -> tuple[str, str]:
    """Return the head that learns the column on the stream; without one, a key unique to both."""
    for head in start.observed.get(stream, ()):
        if start.tasks[head].column == column:
            return ("head", head)
    return ("stream", stream)
