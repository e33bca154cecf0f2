"""Backward pass of several losses by a weighting, for training loops outside of jlrun."""

# S samples, T tasks, N shared coordinates, w weights

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from jlrun.errors import UserError, check_shape
from jlrun.objective.weightings.base import (
    GradientWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)

Losses = Mapping[str, Tensor]


def backward(
    losses: Losses | Sequence[Losses],
    weighting: Weighting,
    shared: Tensor | Iterable[Tensor] = (),
    *,
    labelled: Mapping[str, bool] | None = None,
    weighted_heads: bool = False,
) -> None:
    """Add to ``.grad`` of all parameters what a weighting makes of several losses.

    It stands where ``sum(losses).backward()`` stood. A weighting of loss values has one backward
    pass. One of task gradients takes the gradient of each loss with respect to ``shared``, which
    its update then replaces on the way down; all other parameters (heads) get the gradient of Σ L.
    After ``optimizer.step()`` some weightings want `Weighting.after_step`, and after an epoch
    `Weighting.end_epoch`; learned weights are parameters of the weighting, for the optimizer.

    Args:
        losses: task -> scalar, of the tasks of the weighting. A weighting that compares samples
            (``num_samples``) takes a list of them: the losses of equal parts of the batch.
        weighting: constructed with the names of the tasks.
        shared: by what task gradients are taken: the features that the heads have in common, on the
            graph (cheap: one pass through each head), or the shared parameters (one pass through
            the model for each task). Weightings of loss values ignore it.
        labelled: task -> whether the batch had a label for it; None: all had. The loss of a task
            without one is not used.
        weighted_heads: whether all other parameters get the gradient of Σ w L instead.

    Raises:
        UserError: if losses are not those of the tasks, or no scalars, or ``shared`` is needed.
    """
    parts = [losses] if isinstance(losses, Mapping) else list(losses)
    names = weighting.tasks
    active = torch.tensor([(labelled or {}).get(name, True) for name in names])
    values = torch.stack([_values(part, names, active) for part in parts])  # (S, T)
    active = active.to(values.device)
    if isinstance(weighting, LossWeighting):
        scalar = weighting(TaskLosses(names, values.mean(dim=0), active))
        check_shape("weighting", weighting, scalar, ())
        scalar.backward()
        return
    if not isinstance(weighting, GradientWeighting):
        raise UserError.of("weighting", f"{type(weighting).__name__} is no weighting of tasks")
    given = [shared] if isinstance(shared, Tensor) else list(shared)
    places = [place for place in given if place.requires_grad]
    _check_places(weighting, places, len(parts))
    samples = tuple(_jacobian(row, places) for row in values)
    gradients = TaskGradients(names, values.detach().mean(dim=0), active, samples)
    update = _update(weighting, gradients)
    weights = weighting.last_weights.to(values) if weighted_heads else torch.ones_like(values[0])
    _go_back((weights * values.mean(dim=0)).sum(), places, update)


def _values(losses: Losses, names: Sequence[str], active: Tensor) -> Tensor:
    """Return the losses ``(T,)``, 0 where they are not used.

    Raises:
        UserError: if there are others, or they are no scalars.
    """
    if set(losses) != set(names):
        listed = ", ".join(names)
        raise UserError.of("losses", f"are of {', '.join(losses)}; the weighting has {listed}")
    found = []
    for name, used in zip(names, active.tolist(), strict=True):
        loss = losses[name]
        if not isinstance(loss, Tensor) or loss.ndim > 0:
            what = f"of shape {(*loss.shape,)}" if isinstance(loss, Tensor) else f"{loss!r}"
            raise UserError.of(f"losses.{name}", f"expected a scalar tensor, not one {what}")
        found.append(loss if used else torch.zeros_like(loss))
    return torch.stack(found)


def _check_places(weighting: GradientWeighting, places: Sequence[Tensor], parts: int) -> None:
    name = type(weighting).__name__
    if not places:
        fix = "pass the features that all heads share, or the shared parameters"
        raise UserError.of("shared", f"{name} compares gradients of tasks: {fix}")
    of_features = any(not place.is_leaf for place in places)
    if of_features and "features" not in weighting.sources:
        message = f"{name} compares gradients of different rows: pass the shared parameters"
        raise UserError.of("shared", message)
    if parts != weighting.num_samples:
        wanted = weighting.num_samples
        message = f"{name} compares {wanted} parts of a batch: give {wanted} mappings of losses"
        if wanted == 1:
            message = f"{name} takes one mapping of losses, not {parts}"
        raise UserError.of("losses", message)


def _jacobian(values: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Return the gradients of losses ``(T,)`` with respect to ``places``, ``(T, N)``."""
    rows = []
    for loss in values:
        found: Sequence[Tensor | None] = [None] * len(places)
        if loss.requires_grad:
            found = torch.autograd.grad(loss, places, retain_graph=True, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for g, p in zip(found, places, strict=True)]
        rows.append(torch.cat([g.flatten() for g in flat]))
    jacobian = torch.stack(rows)
    return jacobian if jacobian.dtype == torch.float64 else jacobian.float()


def _update(weighting: GradientWeighting, gradients: TaskGradients) -> Tensor:
    """Return the update ``(N,)``; the plain sum where nothing can be solved."""
    if not bool(torch.isfinite(gradients.gramian).all()):
        return gradients.jacobian.sum(dim=0)
    weighting.last_active = gradients.active
    weighting.last_gramian = gradients.gramian.to(weighting.last_gramian)
    with torch.no_grad():
        update = weighting(gradients)
    check_shape("weighting", weighting, update, gradients.jacobian.shape[1:])
    return update


def _go_back(total: Tensor, places: Sequence[Tensor], update: Tensor) -> None:
    """Go back from ``total`` with the update ``(N,)`` as the gradient of ``places``."""
    sizes = [place.numel() for place in places]
    hooks = []
    for place, piece in zip(places, update.split(sizes), strict=True):
        own = piece.view_as(place).to(place)
        hooks.append(place.register_hook(lambda gradient, own=own: own))
    try:
        total.backward()
    finally:
        for hook in hooks:
            hook.remove()
