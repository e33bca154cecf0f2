"""Base class of terms between modalities: a shared space, and pairs of projections in it."""

# N rows;  P width of the space

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from jlrun.data.augmentation.modality_dropout import presence
from jlrun.data.batch import Batch
from jlrun.data.positives import row_keys
from jlrun.errors import UserError, did_you_mean
from jlrun.models.joint_model import JointModel, SharedSpace
from jlrun.objective.terms.base import (
    Need,
    PhaseStart,
    StepView,
    Term,
    full_precision,
    no_loss,
    precise,
)
from jlrun.objective.terms.self_supervised.projector import any_trunk, placed
from jlrun.objective.terms.self_supervised.rows import sample_row


@dataclass(frozen=True)
class Pair:
    """Projections of rows that have both of two modalities; two rows at least.

    Attributes:
        modalities: their names.
        rows: Bool, which rows of the step these are.
        first, second: ``(N, P)``, of any length.
        keys: int64 ``(N,)``, equal for positives (`jlrun.data.positives`).
    """

    modalities: tuple[str, str]
    rows: Tensor
    first: Tensor
    second: Tensor
    keys: Tensor


class CrossModal(Term):
    """A loss of the projections of two modalities of the same rows: the mean over pairs.

    Rows that lack one of two modalities are left out of the pair, pairs with fewer than two rows
    out of the mean; R is 0 where none is left. The rows are those of the step, of all streams; with
    ``engine.accumulate``, those of the same micro-batch.

    Args:
        weight: strength α of the term.
        space: name of the shared space in the model; terms that name the same one share it.
        modalities: the modalities that are aligned; null: all of the model.
        anchor: the modality that each other one is paired with; null: all pairs.
        positives: target columns; rows with equal labels in all of them are positives of each
            other. null: rows with equal text.
        hidden: units of a hidden layer of each projection head; 0: linear heads.
        out_features: width of the space.
    """

    needs: ClassVar[Need | None] = "several modalities"
    compares_rows = True

    def __init__(
        self,
        weight: float,
        space: str,
        modalities: Sequence[str] | None,
        anchor: str | None,
        positives: Sequence[str] | None,
        hidden: int,
        out_features: int,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.space = space
        self.modalities = modalities
        self.anchor = anchor
        self.positives = tuple(positives or ())
        self.hidden = hidden
        self.out_features = out_features

    @abstractmethod
    def pair_loss(self, pair: Pair) -> Tensor:
        """Return the loss of one pair, a scalar."""

    def add_space(self, model: JointModel) -> None:
        """Add the shared space to a model of two or more of the term's modalities.

        Raises:
            UserError: if another term has a space of that name in another form.
        """
        widths = {m: w for m, w in feature_widths(model).items() if m in (self.modalities or (m,))}
        if len(widths) < 2:
            return
        made = SharedSpace(widths, self.hidden, self.out_features)
        there = model.space(self.space)
        if there is None:
            model.spaces[self.space] = placed(made, model)
        elif _shapes(there) != _shapes(made):
            raise UserError.of(
                f"terms.{self.space}.space",
                f"two terms have a space '{self.space}' of different modalities, hidden or "
                "out_features; give one another name",
            )

    def check(self, model: nn.Module) -> None:
        """Check the names of modalities.

        Raises:
            UserError: if one is not of the model, or the anchor not among those of the term.
        """
        known = list(feature_widths(cast(JointModel, model)))
        for name in self.modalities or ():
            if name not in known:
                hint = did_you_mean(name, known)
                raise UserError.of(
                    f"terms.{self.space}.modalities", f"the model takes no '{name}'.{hint}"
                )
        chosen = list(self.modalities or known)
        if len(chosen) < 2:
            message = f"{', '.join(chosen)} alone has no modality to be aligned with"
            raise UserError.of(f"terms.{self.space}.modalities", message)
        if self.anchor is not None and self.anchor not in chosen:
            hint = did_you_mean(self.anchor, chosen)
            raise UserError.of(f"terms.{self.space}.anchor", f"no '{self.anchor}'.{hint}")

    def begin_phase(self, start: PhaseStart) -> None:
        """Check that rows have the labels that define positives.

        Raises:
            UserError: if they have none, or their labels are not classes.
        """
        for name in self.positives:
            for stream in start.streams.values():
                check_column(f"terms.{self.space}.positives", name, sample_row(stream))

    def forward(self, view: StepView) -> Tensor:
        space = cast(JointModel, view.model).space(self.space)
        if space is None:
            return no_loss(view)
        rows = rows_of(view, self.positives)
        projected = {m: precise(z) for m, z in space(rows.features).items()}
        some = next(iter(projected.values()))
        with full_precision(some):
            losses = [self.pair_loss(pair) for pair in self._pairs(projected, rows)]
        if not losses:
            return 0 * torch.stack([z.sum() for z in projected.values()]).sum()
        return torch.stack(losses).mean()

    def _pairs(self, projected: Mapping[str, Tensor], rows: Rows) -> Iterable[Pair]:
        for one, other in paired(tuple(projected), self.anchor):
            both = rows.present[one] & rows.present[other]
            if int(both.sum()) >= 2:
                first, second = projected[one][both], projected[other][both]
                yield Pair((one, other), both, first, second, rows.keys[both])


@dataclass(frozen=True)
class Rows:
    """All rows of a step.

    Attributes:
        features: modality -> ``(N, D_m)``.
        present: modality -> Bool ``(N,)``.
        keys: int64 ``(N,)``, equal for positives.
    """

    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    keys: Tensor


def rows_of(view: StepView, positives: Sequence[str]) -> Rows:
    """Return the rows of all streams; where the step has no outputs of one, they are computed.

    Labels of two streams may mean different things: positives are of one stream.
    """
    found = {name: _features(view, name) for name in view.batches}
    names = list(next(iter(found.values())))
    keys = []
    for number, batch in enumerate(view.batches.values()):
        own = row_keys(batch, positives)
        several = positives and len(view.batches) > 1
        keys.append(torch.where(own >= 0, own ^ number, own) if several else own)
    present = torch.cat([presence(batch, names) for batch in view.batches.values()])
    return Rows(
        features={m: torch.cat([features[m] for features in found.values()]) for m in names},
        present=dict(zip(names, present.unbind(dim=1), strict=True)),
        keys=torch.cat(keys),
    )


def paired(modalities: Sequence[str], anchor: str | None) -> list[tuple[str, str]]:
    """Return all pairs of modalities, or those with the anchor."""
    if anchor is None:
        return list(combinations(modalities, 2))
    return [(anchor, m) for m in modalities if m != anchor and anchor in modalities]


def feature_widths(model: JointModel) -> dict[str, int]:
    """Return modality -> width of its features; nothing for a body without a trunk."""
    trunk = any_trunk(model)
    return (
        {} if trunk is None else {m: cast(int, e.out_features) for m, e in trunk.encoders.items()}
    )


def add_spaces(model: JointModel, terms: Iterable[object]) -> None:
    """Add the shared spaces of ``terms`` to a freshly built model."""
    for term in terms:
        if isinstance(term, CrossModal):
            term.add_space(model)


def check_column(where: str, name: str, batch: Batch) -> None:
    """Check that rows have classes in a target column.

    Raises:
        UserError: if they have not.
    """
    classes = [n for n, y in batch.targets.items() if y.ndim == 1 and not y.is_floating_point()]
    if name not in classes:
        hint = did_you_mean(name, classes) if classes else " The rows have no labels."
        raise UserError.of(where, f"'{name}' is not a target column with classes.{hint}")


def _features(view: StepView, name: str) -> Mapping[str, Tensor]:
    outputs = view.outputs.get(name)
    if outputs is not None:
        return outputs.features
    return cast(JointModel, view.model).features(view.batches[name])


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}
