"""AdaBN: BatchNorm statistics of the target."""

# n values per channel so far, μ their mean, S the sum of their squared differences from it (C,)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import TARGET, Need, PhaseStart, StepView, Term, precise, total


class AdaBN(Term):
    """R = 0; before it is scored, the model gets BatchNorm statistics of the target.

    Algorithm 1 of Li et al., "Revisiting Batch Normalization for Practical Domain Adaptation",
    2016: in all BatchNorm layers, mean and variance are those of the target's training rows.
    Differs from it in: one pass over these rows gives all layers their statistics, each batch
    normalised by its own in the layers below. The rows are not augmented and come in an order that
    is always the same. Training itself is unchanged.
    """

    needs: ClassVar[Need | None] = "target"
    weight = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._heads: tuple[str, ...] = ()

    def check(self, model: nn.Module) -> None:
        if not _norms(model):
            raise UserError.of(
                "terms.adabn", "the model has no BatchNorm with running statistics; leave it out"
            )

    def begin_phase(self, start: PhaseStart) -> None:
        self._heads = tuple(start.observed.get(TARGET, ()))

    def forward(self, view: StepView) -> Tensor:
        return precise(total((), view))

    def before_evaluation(self, model: JointModel, streams: Mapping[str, Stream]) -> None:
        estimate_batch_norm(model, _batches(streams[TARGET]), self._heads)


@torch.no_grad()
def estimate_batch_norm(
    model: JointModel, batches: Iterable[Batch], heads: tuple[str, ...]
) -> None:
    """Set the running statistics of BatchNorm to those of all rows of ``batches``.

    Mean and unbiased variance over all values of a channel, each batch normalised by its own
    statistics on its way. Layers that no row reaches, and everything else, stay as they are.

    Args:
        model: in evaluation mode.
        batches: of at least two rows each.
        heads: that are computed.
    """
    moments = {norm: _Moments() for norm in _norms(model)}
    with _observed(moments):
        for batch in batches:
            model(batch, heads)
    for norm, found in moments.items():
        if found.count > 1:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(found.mean)
            norm.running_var.copy_(found.squares / (found.count - 1))


class _Moments:
    """n, μ and S of all values seen; batches are joined as in Chan et al., 1983."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor = torch.zeros(())
        self.squares: Tensor = torch.zeros(())

    def add(self, x: Tensor) -> None:
        """Add values ``(B, C, ...)``."""
        rows = precise(x).transpose(0, 1).flatten(1)
        count, mean = rows.shape[1], rows.mean(dim=1)
        squares = (rows - mean[:, None]).square().sum(dim=1)
        if self.count:
            both = self.count + count
            away = mean - self.mean
            squares = self.squares + squares + away.square() * self.count * count / both
            mean = self.mean + away * count / both
        self.count, self.mean, self.squares = self.count + count, mean, squares


@contextmanager
def _observed(moments: Mapping[_BatchNorm, _Moments]) -> Iterator[None]:
    """Let the layers normalise by each batch's statistics, without updating the running ones."""
    tracked = [(norm, norm.training, norm.track_running_stats) for norm in moments]

    def see(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        moments[norm].add(inputs[0])

    hooks = [norm.register_forward_pre_hook(see) for norm in moments]
    for norm in moments:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for norm, training, tracking in tracked:
            norm.training, norm.track_running_stats = training, tracking


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def _batches(stream: Stream) -> Iterator[Batch]:
    """Yield all training rows in an order that mixes the classes of sorted data sets.

    A last row that would be alone is left out: it has no variance.
    """
    order = stream.order(0)
    alone = len(order) % stream.batch_size == 1
    yield from stream.take(order[:-1] if alone else order).sweep()
