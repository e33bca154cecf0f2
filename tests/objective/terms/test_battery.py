"""Every option of ``conf/terms`` passes the same checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.config.slots import TERM
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec, Spec
from jlrun.data.streams import Stream
from jlrun.models.encoders import CNN, MLP
from jlrun.models.fusions import Concat, Late, Single
from jlrun.models.fusions.base import Fusion
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms import StepView, Term
from jlrun.objective.terms.base import PhaseStart
from jlrun.objective.terms.cross_modal import add_spaces
from jlrun.objective.terms.transfer import Distill
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from tests.options import option_node
from tests.toy import CPU, hard_model

CONF = Path(__file__).parents[3] / "conf" / "terms"
SPEC = ImageSpec(1, 8, 8, (0.5,), (0.5,))
CLASSES = {
    "digit": ("0", "1", "2"),
    "parity": ("even", "odd"),
    "marks": ("a", "b"),
    "height": (),
    "source_letter": ("x", "y", "z"),
}
KINDS: dict[str, Task] = {
    "digit": Multiclass(),
    "parity": Binary(),
    "marks": Multilabel(),
    "height": Regression(),
    "source_letter": Multiclass(),
}
TASKS = {
    head: TaskSpec(head.removeprefix("source_"), kind, CLASSES[head])
    for head, kind in KINDS.items()
}
ON_ALL = ("digit", "parity", "marks", "height")
LABELLED = ("digit", "parity")
# What a term needs -> the streams of such a phase.
STREAMS = {
    None: ("dataset",),
    "learned weights": ("target",),
    "target": ("source", "target"),
    "several sources": ("sources.a", "sources.b"),
    "views": ("dataset",),
    "several modalities": ("dataset",),
}


OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
NODES = option_node("terms", f"[{','.join(OPTIONS)}]")


def make(option: str) -> Term:
    # No row of an untrained model is as certain as 0.95.
    changes = {"fixmatch": {"threshold": 0.0}, "distill": {"run": "teacher", "logits": 1.0}}
    term = build({**NODES[option], **changes.get(option, {})}, TERM)
    if isinstance(term, Distill):
        term.find_teachers_with(OneTeacher())
    return term


class OneTeacher:
    """Access to a model of its own width, whatever run is named."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        return {"image": SPEC}

    def load(self, directory: Path, device: torch.device) -> Teacher:
        torch.manual_seed(3)
        heads = {"digit": Linear(5, 3)}
        made = hard_model({"image": MLP(SPEC, hidden=[5])}, Single({"image": 5}), heads)
        digit = {"digit": TASKS["digit"]}
        return Teacher(made.eval().requires_grad_(False), {"image": SPEC}, digit)


NEEDS = {option: make(option).needs for option in OPTIONS}
# Does nothing to the gradient: it changes the statistics of BatchNorm alone.
WITHOUT_GRADIENT = {"adabn"}
TRAINING = [option for option in OPTIONS if option not in WITHOUT_GRADIENT]
# Adversarial terms are minimised by the discriminator, not by the model.
ADVERSARIAL = {"dann", "cdan", "mdd"}
# What a step against the gradient lowers on the same rows.
DESCENDING = [option for option in TRAINING if option not in ADVERSARIAL]

each = pytest.mark.parametrize("option", OPTIONS)
each_training = pytest.mark.parametrize("option", TRAINING)


def model(option: str, fusion: type[Fusion] = Single) -> JointModel:
    """Return a model of what the term needs: of two modalities at least where it joins them."""
    torch.manual_seed(0)
    if NEEDS[option] == "several modalities" and fusion is Single:
        fusion = Concat
    names = ["image"] if fusion is Single else ["image", "other"]
    make_encoder = {"image": lambda: CNN(SPEC, channels=(4,), hidden=16), "other": _perceptron}
    encoders = {name: make_encoder[name]() for name in names}
    fused = fusion({name: encoder.out_features for name, encoder in encoders.items()})
    heads = {
        head: fused.build_head(lambda width, n=spec.num_outputs: Linear(width, n))
        for head, spec in TASKS.items()
    }
    made = hard_model(encoders, fused, heads)
    add_spaces(made, [make(option)])
    return made


def _perceptron() -> MLP:
    return MLP(SPEC, hidden=[4])


def rows(count: int, names: tuple[str, ...], seed: int) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    return TensorRows(
        {name: (draw(1, 8, 8) * 255).to(torch.uint8) for name in names},
        {"digit": (draw() * 3).long(), "parity": (draw() * 2).long()},
    )


def stream(name: str, joint: JointModel, count: int = 12) -> Stream:
    names = tuple(joint.body.trunk.encoders)
    return Stream(
        name,
        rows(count, names, seed=len(name)),
        specs=dict.fromkeys(names, SPEC),
        batch_size=4,
        seed=0,
        device=CPU,
        memory_budget=10**6,
        labelled=name != "target" or count == 11,
    )


def begun(option: str, joint: JointModel, names: tuple[str, ...] | None = None) -> Term:
    """Return a term at the start of a phase of the kind that it needs."""
    term = make(option)
    torch.manual_seed(1)
    names = STREAMS[term.needs] if names is None else names
    heads = (*ON_ALL, "source_letter") if term.needs == "learned weights" else ON_ALL
    term.begin_phase(
        PhaseStart(
            model=joint,
            tasks={head: TASKS[head] for head in heads},
            observed=dict.fromkeys(names, heads),
            # A target that is fine-tuned on has labels.
            streams={n: stream(n, joint, 11 if len(names) == 1 else 12) for n in names},
            num_steps=10,
        )
    )
    return term


def view(
    joint: JointModel, term: Term, count: int = 5, names: tuple[str, ...] | None = None
) -> StepView:
    dtype = next(joint.parameters()).dtype
    generator = torch.Generator().manual_seed(count)
    names = STREAMS[term.needs] if names is None else names
    heads = (*ON_ALL, "source_letter") if term.needs == "learned weights" else ON_ALL

    def inputs() -> dict[str, Tensor]:
        names = joint.body.trunk.encoders
        return {m: torch.randn(count, 1, 8, 8, generator=generator).to(dtype) for m in names}

    def labels() -> dict[str, Tensor]:
        drawn = {head: torch.rand(count, generator=generator) for head in LABELLED}
        return {head: (x * len(CLASSES[head])).long() for head, x in drawn.items()}

    labelled = {n: n != "target" or len(names) == 1 for n in names}
    batches = {
        n: Batch(inputs(), labels() if labelled[n] else {}, views=(inputs(), inputs()))
        for n in names
    }
    outputs = {n: joint(batch, heads) for n, batch in batches.items()}
    return StepView(
        model=joint,
        batches=batches,
        outputs=outputs,
        progress=0.5,
        tasks={head: KINDS[head] for head in heads},
        columns={n: {h: h for h in LABELLED} if labelled[n] else {} for n in names},
        losses={
            f"{n}.{head}": KINDS[head]
            .loss(outputs[n].logits[head], batches[n].targets[head])
            .mean()
            for n in names
            if labelled[n]
            for head in LABELLED
        },
    )


def gradients(joint: nn.Module, value: Tensor) -> list[Tensor]:
    return list(
        torch.autograd.grad(
            value, list(joint.parameters()), allow_unused=True, materialize_grads=True
        )
    )


def value_of(term: Term, seen: StepView) -> Tensor:
    """Return the term's value under fixed random numbers."""
    torch.manual_seed(2)
    return term(seen)


def moved(joint: JointModel) -> JointModel:
    """Return the model after something has changed it, so that terms see a difference."""
    with torch.no_grad():
        for i, parameter in enumerate(joint.parameters()):
            torch.manual_seed(100 + i)
            parameter += 0.05 * torch.randn_like(parameter.float()).to(parameter.dtype)
    return joint


@each_training
@pytest.mark.parametrize("fusion", [Single, Late])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_finite_scalar_with_a_gradient(option: str, fusion: type[Fusion], count: int) -> None:
    joint = model(option, fusion)
    term = begun(option, joint)
    term.check(joint)
    value = value_of(term, view(moved(joint), term, count))
    assert value.shape == ()
    assert value.isfinite()
    if not value.requires_grad:
        assert count == 1, "only one row may be too few"
        return
    grads = gradients(joint, value)
    assert all(grad.isfinite().all() for grad in grads)
    assert count < 5 or any(grad.abs().sum() > 0 for grad in grads)


@pytest.mark.parametrize("option", sorted(WITHOUT_GRADIENT & set(OPTIONS)))
def test_a_term_that_trains_nothing_is_zero(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    assert float(value_of(term, view(joint, term))) == 0


@pytest.mark.parametrize("option", DESCENDING)
def test_a_step_against_the_gradient_lowers_it(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    moved(joint)
    term, joint = term.double(), joint.double()  # some gradients are small
    before = value_of(term, view(joint, term, 8))
    with torch.no_grad():
        for parameter, grad in zip(joint.parameters(), gradients(joint, before), strict=True):
            parameter -= 1e-4 * grad / max(1.0, float(grad.norm()))
    after = value_of(term, view(joint, term, 8))
    assert float(after.detach()) < float(before.detach())


@each_training
def test_float64(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    single = value_of(term, view(moved(joint), term))
    double = value_of(term.double(), view(joint.double(), term))
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-3, atol=1e-5)


@each_training
def test_nearly_the_same_in_half_precision(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    moved(joint)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = value_of(term, view(joint, term))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, value_of(term, view(joint, term)), rtol=6e-2, atol=2e-2)


@each_training
def test_weights_of_zero_are_finite(option: str) -> None:
    joint = model(option)
    with torch.no_grad():
        for parameter in joint.parameters():
            parameter.zero_()
    term = begun(option, joint)
    value = value_of(term, view(joint, term))
    assert value.isfinite()
    if value.requires_grad:
        assert all(grad.isfinite().all() for grad in gradients(joint, value))


@each_training
def test_everything_frozen(option: str) -> None:
    joint = model(option).requires_grad_(False)
    term = begun(option, joint)
    value = value_of(term, view(joint, term))
    assert value.shape == ()
    assert value.isfinite()


@pytest.mark.parametrize("option", [o for o in OPTIONS if NEEDS[o] is None and o in TRAINING])
def test_several_streams(option: str) -> None:
    joint = model(option)
    names = ("source", "target")
    term = begun(option, joint, names)
    assert value_of(term, view(joint, term, names=names)).isfinite()


@each_training
def test_a_part_of_a_step_may_lack_a_stream(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    moved(joint)
    for missing in STREAMS[term.needs]:
        left = tuple(name for name in STREAMS[term.needs] if name != missing)
        if left:
            assert value_of(term, view(joint, term, names=left)).isfinite()


@each_training
def test_strength_is_in_the_config_and_not_in_the_value(option: str) -> None:
    joint = model(option)
    term = begun(option, joint)
    moved(joint)
    before = value_of(term, view(joint, term))
    assert term.weight > 0
    term.weight = 10 * term.weight
    torch.testing.assert_close(value_of(term, view(joint, term)), before, rtol=0, atol=0)


@each
def test_state_goes_on_in_a_term_that_has_just_begun(option: str) -> None:
    """What resuming does: begin with the weights of the middle of the phase, then restore."""
    joint = model(option)
    term = begun(option, joint)
    moved(joint)
    for _ in range(2):
        value_of(term, view(joint, term))
        term.after_step(joint, 0.5)
        moved(joint)
    other = begun(option, joint)
    other.load_state_dict(term.state_dict())
    torch.testing.assert_close(
        value_of(other, view(joint, other)), value_of(term, view(joint, term)), rtol=0, atol=0
    )


@each_training
def test_what_trains_in_a_term_gets_a_gradient(option: str) -> None:
    joint = model(option)
    term = begun(option, joint).train()
    moved(joint)
    trained = [p for p in term.parameters() if p.requires_grad]
    if not trained:
        return
    grads = torch.autograd.grad(value_of(term, view(joint, term)), trained, allow_unused=True)
    names = [name for name, p in term.named_parameters() if p.requires_grad]
    assert [n for n, grad in zip(names, grads, strict=True) if grad is None] == []
