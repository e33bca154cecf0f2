"""From the losses of a step to gradients: one way for each kind of weighting.

- A `LossWeighting` makes one scalar of the losses; one backward pass.
- A `GradientWeighting` looks at the gradients of all tasks first, with respect to the shared
  features (the graph is cut there, each loss goes back to the cut, and the update goes back through
  the trunk once), or with respect to the shared parameters (each loss goes back all the way).

Parameters that belong to one task (heads) get the gradient of Σ L_i, or, with
``head_grad=weighted``, of Σ w_i L_i. Gradients of a step's parts add up; only then is the update
solved for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.models.sharing.base import FeatureSharing
from jlrun.objective.weightings.base import (
    GradientWeighting,
    LossWeighting,
    TaskGradients,
    TaskLosses,
    Weighting,
)
from jlrun.seeding import preserved_randomness
from jlrun.training.forward import MicroBatchLosses, StepForward


def backward(step: StepForward, number: int) -> tuple[list[MicroBatchLosses], Tensor]:
    """Fill ``.grad`` of everything that trains, times the scaler's scale.

    Args:
        step: the forward passes.
        number: of the step in its phase, from 0.

    Returns:
        The losses of the parts, and the scalar that was differentiated (for gradient weightings
        Σ L_i and the penalties), detached.
    """
    weighting = step.learner.weighting
    if isinstance(weighting, LossWeighting):
        return _backward_loss(step, weighting)
    assert isinstance(weighting, GradientWeighting)
    reuse = _may_reuse(step, weighting, number)
    if takes_features(step):
        return _backward_features(step, weighting, reuse)
    if reuse:
        return _backward_weighted(step, weighting.last_weights)
    return _backward_parameters(step, weighting)


def takes_features(step: StepForward) -> bool:
    """Whether task gradients are with respect to features.

    Features of several streams are of different rows: tasks of different streams would always be
    orthogonal there. And some ways of sharing have no features that all tasks have in common. Then
    the gradients are those of the shared parameters.
    """
    return (
        step.phase.recipe.gradient_options.gradients == "features"
        and len(step.parts[0]) == len({o.stream for o in step.phase.objectives}) == 1
        and isinstance(step.learner.model.body, FeatureSharing)
    )


def num_samples(weighting: Weighting) -> int:
    """Return the number of equal parts of a batch whose gradients the weighting tells apart."""
    return weighting.num_samples if isinstance(weighting, GradientWeighting) else 1


# --- one scalar --------------------------------------------------------------------------------


def _backward_loss(
    step: StepForward, weighting: LossWeighting
) -> tuple[list[MicroBatchLosses], Tensor]:
    scale, runs = step.learner.loss_scale, []
    total = torch.zeros((), device=step.num_labelled.device)
    coefficients = None
    if len(step.parts) > 1 and not weighting.additive:
        coefficients, total = _coefficients(step, weighting)
    for part in step.parts:
        run = step.run(part)
        if coefficients is None:
            loss = weighting(_losses(step, run.values)) + run.penalties
            total = total + loss.detach()
        else:
            loss = (coefficients * run.values).sum() + run.penalties
            total = total + run.penalties.detach()
        if run.balance.encoder_losses:
            total = total + step.apart.add(run.balance.encoder_losses, scale)
        _backward(loss * scale)
        runs.append(run)
    return runs, total


def _coefficients(step: StepForward, weighting: LossWeighting) -> tuple[Tensor, Tensor]:
    """Return ∂S/∂L ``(T,)`` of the weighting's scalar S at the losses of all parts, and S.

    It takes a look at all parts without gradients, under the same random numbers. Parameters of
    the weighting get their gradients here.
    """
    with preserved_randomness():
        values = step.values_now()
        total = weighting(_losses(step, values.requires_grad_()))
    (total * step.learner.loss_scale).backward()
    assert values.grad is not None
    return values.grad / step.learner.loss_scale, total.detach()


# --- gradients with respect to features -----------------------------------------------------------


def _backward_features(
    step: StepForward, weighting: GradientWeighting, reuse: bool
) -> tuple[list[MicroBatchLosses], Tensor]:
    weighted = step.phase.recipe.gradient_options.head_grad == "weighted"
    runs = [step.run(part, cut=True) for part in step.parts]
    keep = weighted or any(run.penalties.requires_grad for run in runs)
    pieces = [_leaf_gradients(run, step.learner.loss_scale, weighted, keep) for run in runs]
    jacobian = torch.cat(pieces, dim=1) if len(pieces) > 1 else pieces[0]
    update = _update(step, weighting, runs, (jacobian,), reuse)
    private = _above_cut(step) if weighted else ()
    parts = update.split([piece.shape[1] for piece in pieces])
    for run, piece in zip(runs, parts, strict=True):
        if weighted:
            loss = _weighted(run, weighting.last_weights) * step.learner.loss_scale
            _backward(loss, private, keep=run.penalties.requires_grad)
        _backward_trunk(run, piece, step.learner.loss_scale)
    return runs, _plain_total(runs)


def _leaf_gradients(run: MicroBatchLosses, scale: float, weighted: bool, keep: bool) -> Tensor:
    """Return the gradients of a part's losses at the cut, ``(T, B·D)`` float32.

    What is above the cut gets its gradients on the way, unless they are to be weighted.
    """
    assert run.cut is not None
    leaves = run.cut.leaves
    one_each = len({id(leaf) for leaf in leaves}) == len(leaves)
    inputs = list(leaves) if weighted else None
    rows = []
    if one_each:
        _backward(sum(run.singles[1:], run.singles[0]) * scale, inputs, keep=keep)
        rows = [_taken(leaf) for leaf in leaves]
    else:
        last = len(leaves) - 1
        for i, (loss, leaf) in enumerate(zip(run.singles, leaves, strict=True)):
            _backward(loss * scale, None if inputs is None else [leaf], keep=keep or i < last)
            rows.append(_taken(leaf))
    return torch.stack(rows) / scale if scale != 1 else torch.stack(rows)


def _taken(leaf: Tensor) -> Tensor:
    """Return the gradient of ``leaf``, flat in float32 at least, and forget it there."""
    grad, leaf.grad = leaf.grad, None
    if grad is None:
        return torch.zeros(leaf.numel(), device=leaf.device)
    return grad.flatten() if grad.dtype == torch.float64 else grad.flatten().float()


def _backward_trunk(run: MicroBatchLosses, update: Tensor, scale: float) -> None:
    """Go back from the cut with ``update (B·D,)``, and with the penalties, in one pass."""
    assert run.cut is not None
    fused, gradient = run.cut.fused, (update * scale).to(run.cut.fused.dtype)
    gradient = gradient.view_as(fused)
    penalties = run.penalties * scale
    if not penalties.requires_grad:
        _backward(fused, gradient=gradient)
        return
    # Terms that look at logits reach the cut too; what they leave there goes on with the rest.
    leaves = tuple({id(leaf): leaf for leaf in run.cut.leaves}.values())
    for extra in torch.autograd.grad(penalties, leaves, retain_graph=True, allow_unused=True):
        gradient = gradient if extra is None else gradient + extra
    if fused.requires_grad:
        torch.autograd.backward([fused, penalties], [gradient, None])
    else:
        penalties.backward()


# --- gradients with respect to parameters ---------------------------------------------------------


def _backward_parameters(
    step: StepForward, weighting: GradientWeighting
) -> tuple[list[MicroBatchLosses], Tensor]:
    weighted = step.phase.recipe.gradient_options.head_grad == "weighted"
    shared, private = _parameters(step)
    scale, runs = step.learner.loss_scale, []
    samples = _empty_samples(step, shared)
    for part, index in zip(step.parts, step.samples, strict=True):
        run = step.run(part)
        runs.append(run)
        sample = samples[index]
        _backward(run.penalties * scale, keep=True)
        last = len(run.singles) - 1
        for i, (loss, row) in enumerate(zip(run.singles, sample, strict=True)):
            to_private = () if weighted else private
            _add_gradients(row, loss * scale, shared, to_private, keep=weighted or i < last)
    # Each sample's losses are means over its own rows, not over those of the whole step.
    samples.mul_(len(samples) / scale)
    update = _update(step, weighting, runs, samples.unbind(), reuse=False)
    _write(shared, update * scale)
    if weighted:
        for run in runs:
            _backward(_weighted(run, weighting.last_weights) * scale, private)
    return runs, _plain_total(runs)


def _empty_samples(step: StepForward, shared: Sequence[nn.Parameter]) -> Tensor:
    """Return zeros ``(S, T, N)``."""
    count = max(step.samples) + 1
    size = sum(parameter.numel() for parameter in shared)
    dtype = shared[0].dtype if shared else torch.float32
    shape = (count, len(step.phase.objectives), max(1, size))
    return torch.zeros(shape, dtype=dtype, device=step.num_labelled.device)


def _add_gradients(
    row: Tensor,
    loss: Tensor,
    shared: Sequence[nn.Parameter],
    private: Sequence[nn.Parameter],
    keep: bool,
) -> None:
    """Add the gradient of ``loss`` to ``row (N,)`` and to ``.grad`` of the private parameters."""
    if not loss.requires_grad or not (shared or private):
        return
    inputs = (*shared, *private)
    grads = torch.autograd.grad(loss, inputs, retain_graph=keep, allow_unused=True)
    start = 0
    for parameter, grad in zip(shared, grads[: len(shared)], strict=True):
        stop = start + parameter.numel()
        if grad is not None:
            row[start:stop] += grad.flatten()
        start = stop
    for parameter, grad in zip(private, grads[len(shared) :], strict=True):
        if grad is not None:
            parameter.grad = grad if parameter.grad is None else parameter.grad + grad


def _write(parameters: Sequence[nn.Parameter], update: Tensor) -> None:
    """Add ``update (N,)`` to the gradients of the parameters."""
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        grad = update[start:stop].view(parameter.shape)
        parameter.grad = grad.clone() if parameter.grad is None else parameter.grad + grad
        start = stop


def _backward_weighted(step: StepForward, weights: Tensor) -> tuple[list[MicroBatchLosses], Tensor]:
    """Go back from Σ w_i L_i with known weights."""
    weighted = step.phase.recipe.gradient_options.head_grad == "weighted"
    shared, private = _parameters(step)
    scale, runs = step.learner.loss_scale, []
    for part in step.parts:
        run = step.run(part)
        runs.append(run)
        loss = _weighted(run, weights) * scale
        _backward(run.penalties * scale, keep=True)
        if weighted:
            _backward(loss)
            continue
        _backward(loss, shared, keep=True)
        _backward(run.values.sum() * scale, private)
    return runs, _plain_total(runs)


# --- what they have in common -----------------------------------------------------------------


def _may_reuse(step: StepForward, weighting: GradientWeighting, number: int) -> bool:
    """Return whether the last weights serve for the step: they are of few steps ago, and know all
    of its tasks. One that had no labels then would have the weight 0, and might have it forever."""
    if number % step.phase.recipe.gradient_options.update_every == 0:
        return False
    return not bool(((step.num_labelled > 0) & ~weighting.last_active).any())


def _update(
    step: StepForward,
    weighting: GradientWeighting,
    runs: Sequence[MicroBatchLosses],
    samples: tuple[Tensor, ...],
    reuse: bool,
) -> Tensor:
    """Return the update ``(N,)`` of Jacobians ``(T, N)``."""
    if reuse:
        return weighting.last_weights.to(samples[0]) @ samples[0]
    wanted = weighting.num_samples
    gradients = TaskGradients(
        names=tuple(o.label for o in step.phase.objectives),
        losses=torch.stack([run.values.detach() for run in runs]).sum(dim=0),
        active=step.num_labelled > 0,
        # A batch of fewer rows than samples is its own sample, several times over.
        samples=samples if len(samples) == wanted else (torch.stack(samples).mean(dim=0),) * wanted,
    )
    if not bool(torch.isfinite(gradients.gramian).all()):
        # A loss scale that was too large (the scaler skips the step), or a run that diverges (the
        # loop says so): nothing to solve, and nothing that state should remember.
        return gradients.jacobian.sum(dim=0)
    weighting.last_active = gradients.active
    weighting.last_gramian = gradients.gramian.to(weighting.last_gramian)
    with torch.no_grad():
        return weighting(gradients)


def _losses(step: StepForward, values: Tensor) -> TaskLosses:
    names = tuple(o.label for o in step.phase.objectives)
    return TaskLosses(names, values, step.num_labelled > 0)


def _parameters(step: StepForward) -> tuple[tuple[nn.Parameter, ...], tuple[nn.Parameter, ...]]:
    """Return the parameters that train: those that tasks share, and those that one task has."""
    model = step.learner.model
    shared = tuple(p for p in model.body.shared_parameters() if p.requires_grad)
    known = {id(parameter) for parameter in shared}
    own = (p for p in model.parameters() if p.requires_grad and id(p) not in known)
    return shared, tuple(own)


def _above_cut(step: StepForward) -> tuple[nn.Parameter, ...]:
    """Return the parameters that train and are no part of the trunk, shared (experts) or not."""
    model = step.learner.model
    assert isinstance(model.body, FeatureSharing)
    below = {id(parameter) for parameter in model.body.trunk.parameters()}
    return tuple(p for p in model.parameters() if p.requires_grad and id(p) not in below)


def _weighted(run: MicroBatchLosses, weights: Tensor) -> Tensor:
    return (weights.to(run.means) * run.values).sum()


def _plain_total(runs: Sequence[MicroBatchLosses]) -> Tensor:
    return torch.stack([r.values.detach().sum() + r.penalties.detach() for r in runs]).sum()


def _backward(
    loss: Tensor,
    inputs: Sequence[Tensor] | None = None,
    keep: bool = False,
    gradient: Tensor | None = None,
) -> None:
    """Go back from ``loss`` where there is a way, to all leaves or to ``inputs`` alone."""
    if loss.requires_grad and (inputs is None or inputs):
        torch.autograd.backward(loss, gradient, retain_graph=keep, inputs=inputs)
