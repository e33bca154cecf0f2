"""Task gradients with respect to the shared features: the graph is cut there."""

# T tasks, B rows, D features

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing
from jlrun.objective.weightings.base import GramianWeighting, gramian_of
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes.base import (
    TaskGradientPasses,
    backward_from,
    backward_from_all,
    plain_total,
)


def takes_features(forward: StepForward) -> bool:
    """Return whether task gradients are with respect to features.

    Features of several streams are of different rows: tasks of different streams would always be
    orthogonal there. And some ways of sharing have no features that all tasks have in common. Then
    the gradients are those of the shared parameters.
    """
    return (
        forward.phase.recipe.gradient_options.gradients == "features"
        and len(forward.micro_batches[0]) == len({o.stream for o in forward.phase.objectives}) == 1
        and isinstance(forward.learner.model.body, FeatureSharing)
    )


class FeaturePasses(TaskGradientPasses):
    """All losses back to the cut, then the update back through the trunk."""

    def run(self) -> tuple[list[MicroBatchLosses], Tensor]:
        forward = self.forward
        done = [forward.run(micro_batch, cut=True) for micro_batch in forward.micro_batches]
        keep = self.weighted_heads or any(losses.penalties.requires_grad for losses in done)
        pieces = [self._leaf_gradients(losses, keep) for losses in done]
        jacobian = torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0]
        update = self.update(done, (jacobian,), self._gramian(done, pieces))
        above = self._above_cut() if self.weighted_heads else ()
        updates = update.split([piece.shape[1] for piece in pieces])
        for number, (losses, piece) in enumerate(zip(done, updates, strict=True), 1):
            assert losses.cut is not None
            own, num_rows = losses.cut.own, losses.cut.num_rows
            piece = own.scaled(piece) if self.own_columns else own.own_gradient(piece, num_rows)
            if self.weighted_heads:
                weighted = self.weighted_sum(losses) * self.scale
                backward_from(weighted, above, keep=losses.penalties.requires_grad)
            others = () if losses.penalties.requires_grad else self._outside_trunk()
            with self.following(number == len(done), others):
                self._backward_trunk(losses, piece)
        self.average_all()
        return done, plain_total(done)

    @property
    def own_columns(self) -> bool:
        """Whether each rank keeps the columns of its own rows, and knows the Gramian of all."""
        weighting = self.weighting
        return self.reuses_weights or (
            isinstance(weighting, GramianWeighting) and weighting.knows_gramian_alone
        )

    def _gramian(
        self, micro_batches: Sequence[MicroBatchLosses], pieces: Sequence[Tensor]
    ) -> Tensor | None:
        """Return the Gramian of all columns, if ranks keep those of their own rows."""
        owners = [losses.cut.own for losses in micro_batches if losses.cut is not None]
        if self.reuses_weights or not self.own_columns or not any(o.divided for o in owners):
            return None
        world = self.forward.engine.world
        shares = [1.0 if own.divided else 1 / world.size for own in owners]  # all have those rows
        each = [gramian_of(piece) * share for piece, share in zip(pieces, shares, strict=True)]
        return world.sum(sum(each[1:], each[0])).cpu()

    def _leaf_gradients(self, losses: MicroBatchLosses, keep: bool) -> Tensor:
        """Return the gradients of a micro-batch's losses at the cut, ``(T, B·D)`` float32 at least.

        B are the rows of all ranks, or, with `own_columns`, of this one.

        What is above the cut gets its gradients on the way, unless they are to be weighted.
        """
        assert losses.cut is not None
        leaves, singles, scale = losses.cut.leaves, losses.singles, self.scale
        inputs = list(leaves) if self.weighted_heads else None
        rows = []
        if len({id(leaf) for leaf in leaves}) == len(leaves):  # one pass reaches them all
            backward_from(sum(singles[1:], singles[0]) * scale, inputs, keep=keep)
            rows = [_taken(leaf) for leaf in leaves]
        else:
            last = len(leaves) - 1
            for i, (loss, leaf) in enumerate(zip(singles, leaves, strict=True)):
                alone = None if inputs is None else [leaf]
                backward_from(loss * scale, alone, keep=keep or i < last)
                rows.append(_taken(leaf))
        found = torch.stack(rows) / scale if scale != 1 else torch.stack(rows)
        own = losses.cut.own
        if self.own_columns:
            return found / own.world.size if own.divided else found
        return own.gradients_of_all(found, losses.cut.num_rows)

    def _backward_trunk(self, losses: MicroBatchLosses, update: Tensor) -> None:
        """Go back from the cut with ``update`` of own rows, and with the penalties, in one pass."""
        assert losses.cut is not None
        fused, gradient = losses.cut.fused, (update * self.scale).to(losses.cut.fused.dtype)
        gradient = gradient.view_as(fused)
        penalties = losses.penalties * self.scale
        if not penalties.requires_grad:
            backward_from(fused, gradient=gradient)
            return
        # Terms that read logits reach the cut too; what they leave there goes on with the rest.
        leaves = tuple({id(leaf): leaf for leaf in losses.cut.leaves}.values())
        for extra in _gradients_at(leaves, penalties):
            gradient = gradient if extra is None else gradient + extra
        backward_from_all([(fused, gradient), (penalties, None)])

    def _outside_trunk(self) -> tuple[nn.Parameter, ...]:
        """Return all parameters that the optimizer changes but those of the trunk."""
        body = self.forward.learner.model.body
        assert isinstance(body, FeatureSharing)
        below = {id(parameter) for parameter in body.trunk.parameters()}
        return tuple(p for p in self.forward.learner.parameters if id(p) not in below)

    def _above_cut(self) -> tuple[nn.Parameter, ...]:
        """Return the parameters that train outside the trunk, shared (experts) or not."""
        model = self.forward.learner.model
        assert isinstance(model.body, FeatureSharing)
        below = {id(parameter) for parameter in model.body.trunk.parameters()}
        return tuple(p for p in model.parameters() if p.requires_grad and id(p) not in below)


def _gradients_at(leaves: Sequence[Tensor], loss: Tensor) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)


def _taken(leaf: Tensor) -> Tensor:
    """Return the gradient of ``leaf``, flat in float32 at least, and forget it there."""
    grad, leaf.grad = leaf.grad, None
    if grad is None:
        return torch.zeros(leaf.numel(), device=leaf.device)
    return grad.flatten() if grad.dtype == torch.float64 else grad.flatten().float()
