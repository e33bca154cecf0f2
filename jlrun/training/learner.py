"""Learner of a phase: the model with its optimizer, weighting and terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel, widths
from jlrun.models.module_state import batch_norms, modules_without_training
from jlrun.objective.balance import Balance, NoBalance
from jlrun.objective.balance.base import BalanceStart
from jlrun.objective.terms.base import PhaseStart, Term
from jlrun.objective.weightings.base import Weighting
from jlrun.optimizers import keep_out_of_compile, load_optimizer, stepper, update_together
from jlrun.ranks.reducer import GradientReducer
from jlrun.ranks.shard_updates import sharded_state
from jlrun.ranks.shards import is_shard
from jlrun.ranks.world import ALONE, World
from jlrun.training.averaging import Average
from jlrun.training.parameter_rules import ParameterRule, rule_for
from jlrun.training.plan import Phase

REHEARSED_ROWS = 2  # enough for shapes


@dataclass(frozen=True)
class Learner:
    """A model and everything stateful that changes it.

    Attributes:
        model: on the device.
        weighting: of the phase's objectives.
        terms: term name -> term.
        optimizer: over the parameters that train, in named groups.
        scaler: of fp16 losses; idle in other precisions.
        frozen: submodules that stay in evaluation mode, so that no statistic of theirs moves.
        average: running average of the model's weights, which is what is scored and kept.
        balance: of the model's modalities.
        world: the ranks that train it together.
        synchronised: whether BatchNorm normalises by the rows of all ranks.
    """

    model: JointModel
    weighting: Weighting
    terms: nn.ModuleDict
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    frozen: tuple[nn.Module, ...]
    average: Average
    balance: Balance
    world: World = ALONE
    synchronised: bool = True

    def train_mode(self) -> None:
        """Put everything that trains in training mode, unless it is."""
        if self.model.training and not any(module.training for module in self.frozen):
            return  # a walk over all modules costs as much as a small layer
        self.model.train()
        for module in self.frozen:
            module.eval()

    @cached_property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """Parameters the optimizer changes."""
        return tuple(p for group in self.optimizer.param_groups for p in group["params"])

    @cached_property
    def reducer(self) -> GradientReducer | None:
        """Averages gradients over the ranks, but those of shards; None of one process."""
        if not self.world.several:
            return None
        exchanges = self.normalises and self.synchronised  # in the backward pass, too
        whole = [p for p in self.parameters if not is_shard(p)]
        return GradientReducer(self.world, whole, self.world.sends_meanwhile or not exchanges)

    @cached_property
    def normalises(self) -> bool:
        """Whether the model has layers that normalise by the rows of a batch."""
        return bool(batch_norms(self.model))

    def average_statistics(self) -> None:
        """Average running statistics over the ranks, where each has normalised by its own rows."""
        if self.synchronised or not self.world.several or not self._statistics:
            return
        with torch.no_grad():
            flat = torch.cat([x.double().flatten() for x in self._statistics])
            means = self.world.average(flat).split([x.numel() for x in self._statistics])
            for x, mean in zip(self._statistics, means, strict=True):
                x.copy_(mean.view_as(x))

    @cached_property
    def _statistics(self) -> tuple[Tensor, ...]:
        norms = [*batch_norms(self.model), *batch_norms(self.terms)]
        found = [x for n in norms for x in (n.running_mean, n.running_var)]
        return tuple(x for x in found if isinstance(x, Tensor))

    @cached_property
    def step(self) -> Callable[[], Any]:
        """Does a step of the optimizer."""
        return stepper(self.optimizer)

    def forget_gradients(self) -> None:
        """Begin a step without gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @property
    def loss_scale(self) -> float:
        """Factor of all gradients before the optimizer's step (fp16); 1 otherwise."""
        return self.scaler.get_scale() if self.scaler.is_enabled() else 1.0

    def after_step(self, progress: float) -> None:
        """Let terms and the running average follow the model's step."""
        for term in self.terms.values():
            if isinstance(term, Term):
                term.after_step(self.model, progress)
        self.average.update(self.model)

    @contextmanager
    def to_be_scored(self, streams: Mapping[str, Stream]) -> Iterator[JointModel]:
        """Return a context with the model as it is scored and kept, in evaluation mode."""
        with self.average.applied(self.model):
            self.model.eval()
            for term in self.terms.values():
                if isinstance(term, Term):
                    term.before_evaluation(self.model, streams)
            yield self.model

    def set_lr(self, factor: float) -> None:
        """Set every group's learning rate to ``factor`` times its own."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the model's weights."""
        return {
            "optimizer": sharded_state(self.optimizer),
            "weighting": self.weighting.state_dict(),
            "terms": self.terms.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict(),
            "balance": self.balance.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        # It brings which kernels the optimizer had (foreach, fused): others round differently.
        load_optimizer(self.optimizer, state["optimizer"])
        self.weighting.load_state_dict(state["weighting"])
        self.terms.load_state_dict(state["terms"])
        self.average.load_state_dict(state["average"])
        self.balance.load_state_dict(state.get("balance", {}))
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])


def build_learner(
    model: JointModel, phase: Phase, engine: Engine, *, rehearsal: bool = False
) -> Learner:
    """Return the learner of a phase: frozen parameters set aside, the others in named groups.

    Args:
        model: on the device.
        phase: to be trained.
        engine: where and how to compute.
        rehearsal: whether nothing will be trained: terms then measure a few rows alone.
    """
    recipe = phase.recipe
    weighting = recipe.make_weighting(_task_names(phase)).to(engine.device)
    groups, frozen_names = _groups(model, phase.rules)
    terms = _terms(model, phase, rehearsal).to(engine.device)
    balance = _balance(model, phase, weighting).to(engine.device)
    for name, module in (("weighting", weighting), ("terms", terms), ("balance", balance)):
        parameters = [p for p in module.parameters() if p.requires_grad]
        if parameters:
            # Decay would pull learned weights and scales towards values that mean something.
            groups.append({"name": name, "params": parameters, "weight_decay": 0.0, "lr_scale": 1})
    keep_out_of_compile()
    optimizer = recipe.make_optimizer(groups)
    update_together(optimizer)
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"] * group["lr_scale"]
    frozen = modules_without_training(model, frozen_names)
    if phase.batch_norm == "freeze":
        frozen = list(dict.fromkeys([*frozen, *batch_norms(model)]))
    return Learner(
        model=model,
        weighting=weighting,
        terms=terms,
        optimizer=optimizer,
        scaler=engine.grad_scaler(),
        frozen=tuple(frozen),
        average=recipe.make_average(),
        balance=balance,
        world=engine.world,
        synchronised=engine.sync_batchnorm,
    )


def count_trainable(model: JointModel, phase: Phase) -> int:
    """Return the number of parameters that train in ``phase``."""
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if rule_for(name, phase.rules).lr > 0
    )


def _terms(model: JointModel, phase: Phase, rehearsal: bool) -> nn.ModuleDict:
    """Return the terms that act in the phase, begun."""
    makers = phase.recipe.terms.items()
    acting = {name: maker.make() for name, maker in makers if maker.acts_in(phase.offers)}
    few = {name: _first_rows(stream) for name, stream in phase.train.items()}
    start = PhaseStart(
        model=model,
        tasks=phase.specs,
        observed=phase.heads,
        streams=few if rehearsal else phase.train,
        num_steps=phase.num_steps,
    )
    for name, term in acting.items():
        with _copies_explained(name, term):
            term.begin_phase(start)
    return nn.ModuleDict(acting)


@contextmanager
def _copies_explained(name: str, term: Term) -> Iterator[None]:
    """Turn PyTorch's refusal to copy shards into one line.

    Raises:
        UserError: if a term copies a model of which each rank has a part.
    """
    try:
        yield
    except AssertionError as error:
        if "does not support deepcopy" not in str(error):
            raise
        why = f"{type(term).__name__} copies the model, of which a rank has a part"
        fix = "leave it out, or use engine.parallel=ddp"
        raise UserError.of(f"terms.{name}", f"{why}: {fix}") from error


def _first_rows(stream: Stream) -> Stream:
    return stream.take(torch.arange(min(REHEARSED_ROWS, len(stream.rows))))


def _balance(model: JointModel, phase: Phase, weighting: Weighting) -> Balance:
    """Return the balance of the phase, begun; none where there is nothing to balance."""
    if len(widths(model)) < 2 or not phase.objectives:
        return NoBalance()
    balance = phase.recipe.make_balance()
    balance.begin_phase(BalanceStart(model, phase.objectives, weighting))
    return balance


def _task_names(phase: Phase) -> tuple[str, ...]:
    """Return what the user calls the tasks; their labels where two streams have one of a name."""
    names = tuple(o.spec.name for o in phase.objectives)
    return names if len(set(names)) == len(names) else tuple(o.label for o in phase.objectives)


def _groups(
    model: JointModel, rules: tuple[ParameterRule, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    groups: dict[str, dict[str, Any]] = {}
    frozen = []
    for name, parameter in model.named_parameters():
        rule = rule_for(name, rules)
        parameter.requires_grad_(rule.lr > 0)
        if rule.lr > 0:
            group = {"name": rule.group, "params": [], "lr_scale": rule.lr}
            groups.setdefault(rule.group, group)["params"].append(parameter)
        else:
            frozen.append(name)
    return list(groups.values()), frozen
