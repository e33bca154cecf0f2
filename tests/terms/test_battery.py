"""Every option of ``conf/terms`` passes the same checks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from jlrun.config.build import build
from jlrun.config.compose import compose
from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec
from jlrun.encoders import Mlp
from jlrun.fusions import Late, Single
from jlrun.fusions.base import Fusion
from jlrun.heads import Linear
from jlrun.model import JointModel
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression
from jlrun.terms import StepView, Term
from tests.toy import hard_model

CONF = Path(__file__).parents[2] / "conf" / "terms"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
SPEC = ImageSpec(1, 2, 2, (0.5,), (0.5,))
OUTPUTS = {"digit": 3, "parity": 1, "marks": 2, "height": 1}
TASKS = {"digit": Multiclass(), "parity": Binary(), "marks": Multilabel(), "height": Regression()}

each = pytest.mark.parametrize("option", OPTIONS)


def make(option: str) -> Term:
    terms = compose(["mode=multitask", f"terms=[{option}]"]).config["terms"]
    assert list(terms) == [option]
    return build(terms[option])


def model(fusion: type[Fusion] = Single) -> JointModel:
    torch.manual_seed(0)
    names = ["image"] if fusion is Single else ["image", "other"]
    encoders = {name: Mlp(SPEC, hidden=[4]) for name in names}
    fused = fusion(dict.fromkeys(names, 4))
    heads = {
        task: fused.build_head(lambda width, n=n: Linear(width, n)) for task, n in OUTPUTS.items()
    }
    return hard_model(encoders, fused, heads)


def view(joint: JointModel, count: int = 5, streams: tuple[str, ...] = ("dataset",)) -> StepView:
    dtype = next(joint.parameters()).dtype
    generator = torch.Generator().manual_seed(count)
    batches = {
        stream: Batch(
            {
                m: torch.randn(count, 1, 2, 2, generator=generator).to(dtype)
                for m in joint.body.trunk.encoders
            }
        )
        for stream in streams
    }
    outputs = {stream: joint(batch) for stream, batch in batches.items()}
    return StepView(joint, batches, outputs, progress=0.5, tasks=TASKS)


def gradients(joint: JointModel, value: Tensor) -> list[Tensor]:
    return list(
        torch.autograd.grad(
            value, list(joint.parameters()), allow_unused=True, materialize_grads=True
        )
    )


@each
@pytest.mark.parametrize("fusion", [Single, Late])
@pytest.mark.parametrize("count", [1, 5])
def test_a_finite_scalar_with_a_gradient(option: str, fusion: type[Fusion], count: int) -> None:
    term, joint = make(option), model(fusion)
    term.check(joint)
    value = term(view(joint, count))
    assert value.shape == ()
    assert value.isfinite()
    grads = gradients(joint, value)
    assert all(grad.isfinite().all() for grad in grads)
    assert any(grad.abs().sum() > 0 for grad in grads)


@each
def test_a_step_against_the_gradient_lowers_it(option: str) -> None:
    term, joint = make(option), model()
    before = term(view(joint))
    with torch.no_grad():
        for parameter, grad in zip(joint.parameters(), gradients(joint, before), strict=True):
            parameter -= 1e-3 * grad
        assert term(view(joint)) < before


@each
def test_float64(option: str) -> None:
    term, joint = make(option), model()
    single = term(view(joint))
    double = term(view(joint.double()))
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-6)


@each
def test_same_in_half_precision(option: str) -> None:
    term, joint = make(option), model()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = term(view(joint))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, term(view(joint)), rtol=2e-2, atol=1e-3)


@each
def test_weights_of_zero_are_finite(option: str) -> None:
    joint = model()
    with torch.no_grad():
        for parameter in joint.parameters():
            parameter.zero_()
    value = make(option)(view(joint))
    assert value.isfinite()
    assert all(grad.isfinite().all() for grad in gradients(joint, value))


@each
def test_everything_frozen_and_several_streams(option: str) -> None:
    joint = model().requires_grad_(False)
    value = make(option)(view(joint, streams=("source", "target")))
    assert value.shape == ()
    assert value.isfinite()


@each
def test_strength_is_in_the_config_and_not_in_the_value(option: str) -> None:
    term, joint = make(option), model()
    before = term(view(joint))
    assert term.weight > 0
    term.weight = 10 * term.weight
    torch.testing.assert_close(term(view(joint)), before, rtol=0, atol=0)


@each
def test_state_round_trip(option: str) -> None:
    term, joint = make(option), model()
    other = make(option)
    other.load_state_dict(term.state_dict())
    torch.testing.assert_close(other(view(joint)), term(view(joint)), rtol=0, atol=0)
