"""Values and gradients against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.models.encoders import CNN, MLP
from jlrun.models.fusions import Late, Single
from jlrun.models.heads import MLP as MlpHead
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.terms import (
    L1,
    L2,
    Confidence,
    FeatureL2,
    GroupLasso,
    Orthogonal,
    StepView,
    Term,
    TraceNorm,
)
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task
from tests.toy import hard_model

SPEC = ImageSpec(1, 2, 2, (0.5,), (0.5,))


def model(**heads: nn.Module) -> JointModel:
    torch.manual_seed(0)
    heads = heads or {"digit": Linear(4, 3), "parity": Linear(4, 1)}
    return hard_model({"image": MLP(SPEC, hidden=[4])}, Single({"image": 4}), heads)


def view(
    joint: nn.Module, logits: dict[str, Tensor] | None = None, fused: Tensor | None = None
) -> StepView:
    output = Outputs({}, torch.zeros(1, 4) if fused is None else fused, logits or {})
    return StepView(joint, {}, {"dataset": output}, 0.0)


def assert_gradient(term: Term, joint: JointModel, name: str, expected: Tensor) -> None:
    parameters = dict(joint.named_parameters())
    (found,) = torch.autograd.grad(term(view(joint)), parameters[name])
    torch.testing.assert_close(found, expected)


def weights(joint: JointModel) -> dict[str, Tensor]:
    return {n: p.detach() for n, p in joint.named_parameters() if n.endswith("weight")}


def test_l2_is_the_sum_of_squares_with_gradient_2w() -> None:
    joint = model()
    expected = sum(w.square().sum() for w in weights(joint).values())
    torch.testing.assert_close(L2()(view(joint)), expected)
    for name, w in weights(joint).items():
        assert_gradient(L2(), joint, name, 2 * w)


def test_l1_is_the_sum_of_absolute_values_with_gradient_sign() -> None:
    joint = model()
    expected = sum(w.abs().sum() for w in weights(joint).values())
    torch.testing.assert_close(L1()(view(joint)), expected)
    for name, w in weights(joint).items():
        assert_gradient(L1(), joint, name, w.sign())


@pytest.mark.parametrize("kind", [L1, L2, Orthogonal])
def test_a_pattern_selects_the_head_of_one_task(kind: type[Term]) -> None:
    joint = model()
    term = kind(parameters="heads.digit")  # pyright: ignore
    alone = model(digit=joint.heads["digit"])
    torch.testing.assert_close(term(view(joint)), term(view(alone)))
    grads = torch.autograd.grad(term(view(joint)), list(joint.parameters()), allow_unused=True)
    touched = [
        name
        for (name, _), grad in zip(joint.named_parameters(), grads, strict=True)
        if grad is not None
    ]
    assert touched == ["heads.digit.weight"]


def test_biases_normalisation_and_tokens_are_no_weights() -> None:
    encoder = CNN(SPEC, channels=[2])
    encoder.convolutions.append(nn.BatchNorm2d(2))
    encoder.register_parameter("position_embedding", nn.Parameter(torch.ones(2, 2)))
    joint = hard_model({"image": encoder}, Single({"image": 512}), {"digit": Linear(512, 2)})
    with torch.no_grad():
        for name, parameter in joint.named_parameters():
            parameter.fill_(1.0 if parameter.dim() == 4 or name == "heads.digit.weight" else 0.0)
        encoder.get_parameter("position_embedding").fill_(1.0)
        encoder.convolutions[-1].get_parameter("weight").fill_(1.0)
    assert L2()(view(joint)) == 2 * 9 + 2 * 512


def test_frozen_weights_are_left_out() -> None:
    joint = model()
    joint.body.requires_grad_(False)
    torch.testing.assert_close(L2()(view(joint)), L2(parameters="^heads")(view(joint)))


@pytest.mark.parametrize("kind", [L1, L2, Orthogonal])
def test_a_pattern_that_matches_nothing(kind: type[Term]) -> None:
    joint, term = model(), kind(parameters="heads.digti")  # pyright: ignore
    with pytest.raises(UserError) as caught:
        term.check(joint)
    message = str(caught.value)
    assert message.startswith("terms: parameters='heads.digti' matches no weight")
    assert (
        "body.trunk.encoders.image.layers.1.weight, heads.digit.weight, heads.parity.weight"
        in message
    )
    # a baseline without that part is trained without the term
    assert term(view(joint)) == 0


def test_a_pattern_that_matches_only_frozen_weights_is_right() -> None:
    joint = model()
    joint.body.requires_grad_(False)
    term = L2(parameters="encoders")
    term.check(joint)
    assert term(view(joint)) == 0


def test_long_models_name_only_some_weights() -> None:
    joint = model(**{f"task{i}": Linear(4, 1) for i in range(50)})
    with pytest.raises(UserError) as caught:
        L2(parameters="nothing").check(joint)
    message = str(caught.value)
    assert "encoders.image" in message
    assert "heads.task49.weight" in message
    assert "heads.task20" not in message


def test_a_pattern_that_is_no_regular_expression() -> None:
    with pytest.raises(UserError, match=r"parameters='heads\(' is not a regular expression"):
        L2(parameters="heads(")


def test_orthogonal_is_zero_for_orthonormal_rows_or_columns() -> None:
    for shape in ((3, 4), (5, 4)):
        head = Linear(shape[1], shape[0])
        nn.init.orthogonal_(head.weight)
        value = Orthogonal(parameters="heads")(view(model(digit=head)))
        torch.testing.assert_close(value, torch.zeros(()), rtol=0, atol=1e-10)


def test_orthogonal_has_the_gradient_of_its_closed_form() -> None:
    joint = model()
    w = weights(joint)["heads.digit.weight"]  # 3×4: rows are the smaller side
    gap = w @ w.T - torch.eye(3)
    torch.testing.assert_close(Orthogonal(parameters="digit")(view(joint)), gap.square().sum())
    assert_gradient(Orthogonal(), joint, "heads.digit.weight", 4 * gap @ w)


def test_orthogonal_takes_convolutions_as_matrices() -> None:
    encoder = CNN(SPEC, channels=[2])
    joint = hard_model({"image": encoder}, Single({"image": 512}), {})
    kernel = encoder.convolutions[0].get_parameter("weight").detach().view(2, 9)
    expected = (kernel @ kernel.T - torch.eye(2)).square().sum()
    torch.testing.assert_close(Orthogonal(parameters="convolutions")(view(joint)), expected)


def test_group_lasso_by_hand() -> None:
    joint = model(a=Linear(2, 1), b=Linear(2, 2))
    with torch.no_grad():
        joint.heads["a"].get_parameter("weight").copy_(torch.tensor([[3.0, 0.0]]))
        joint.heads["b"].get_parameter("weight").copy_(torch.tensor([[0.0, 2.0], [4.0, 2.0]]))
    # feature 0: (3, 0, 4), norm 5; feature 1: (0, 2, 2), norm √8
    torch.testing.assert_close(GroupLasso()(view(joint)), torch.tensor(5 + math.sqrt(8)))
    assert_gradient(GroupLasso(), joint, "heads.a.weight", torch.tensor([[0.6, 0.0]]))
    torch.testing.assert_close(GroupLasso(tasks=["a"])(view(joint)), torch.tensor(3.0))


def test_group_lasso_drops_features_for_all_tasks_together() -> None:
    # among weights of equal squared norm, it is smallest where tasks use the same features
    shared, apart = model(a=Linear(2, 1), b=Linear(2, 1)), model(a=Linear(2, 1), b=Linear(2, 1))
    rows = {"a": ([[1.0, 0.0]], [[1.0, 0.0]]), "b": ([[1.0, 0.0]], [[0.0, 1.0]])}
    with torch.no_grad():
        for name, (same, other) in rows.items():
            shared.heads[name].get_parameter("weight").copy_(torch.tensor(same))
            apart.heads[name].get_parameter("weight").copy_(torch.tensor(other))
    torch.testing.assert_close(GroupLasso()(view(shared)), torch.tensor(math.sqrt(2)))
    torch.testing.assert_close(GroupLasso()(view(apart)), torch.tensor(2.0))


@pytest.mark.parametrize("kind", [GroupLasso, TraceNorm])
def test_only_the_layer_that_reads_the_features_counts(kind: type[Term]) -> None:
    head = MlpHead(4, 3, hidden=5)
    plain = Linear(4, 5)
    with torch.no_grad():
        plain.weight.copy_(head.hidden.weight)
    torch.testing.assert_close(kind()(view(model(a=head))), kind()(view(model(a=plain))))


@pytest.mark.parametrize("kind", [GroupLasso, TraceNorm])
def test_late_fusion_groups_by_modality(kind: type[Term]) -> None:
    fusion = Late({"image": 4, "audio": 4})
    torch.manual_seed(0)
    heads = {t: fusion.build_head(lambda width: Linear(width, 2)) for t in ("a", "b")}
    joint = hard_model({}, fusion, heads)
    by_modality = [
        model(**{t: heads[t].get_submodule(f"parts.{m}") for t in heads})
        for m in ("image", "audio")
    ]
    expected = sum(kind()(view(part)) for part in by_modality)
    torch.testing.assert_close(kind()(view(joint)), expected)


def test_trace_norm_is_the_sum_of_singular_values_with_gradient_uv() -> None:
    joint = model()
    w = weights(joint)
    u, s, vh = torch.linalg.svd(
        torch.cat([w["heads.digit.weight"], w["heads.parity.weight"]]), full_matrices=False
    )
    torch.testing.assert_close(TraceNorm()(view(joint)), s.sum())
    assert_gradient(TraceNorm(), joint, "heads.digit.weight", (u @ vh)[:3])


@pytest.mark.parametrize("term", [GroupLasso(tasks=["digti"]), Confidence(tasks=["digti"])])
def test_a_task_that_does_not_exist(term: Term) -> None:
    joint = model()
    with pytest.raises(UserError, match=r"terms: tasks: .*'digti'.* Did you mean 'digit'\?"):
        term.check(joint)
    assert term(view(joint)) == 0


def certainty(task: Task, logits: Tensor) -> Tensor:
    seen = StepView(
        model(),
        {},
        {"dataset": Outputs({}, torch.zeros(1, 4), {"digit": logits})},
        0.0,
        {"digit": task},
    )
    return Confidence()(seen)


def test_confidence_of_uniform_predictions_is_minus_log_c() -> None:
    for logits, task in ((torch.full((2, 8), 3.0), Multiclass()), (torch.zeros(2, 1), Binary())):
        classes = max(2, logits.shape[1])
        torch.testing.assert_close(certainty(task, logits), torch.tensor(-math.log(classes)))


def test_confidence_by_hand() -> None:
    # p = (¼, ¾), of entropy ln 4 − ¾ ln 3
    entropy = math.log(4) - 0.75 * math.log(3)
    odds = math.log(3)
    for task, logits in (
        (Multiclass(), torch.tensor([[0.0, odds]])),
        (Binary(), torch.tensor([[-odds]])),
        (Multilabel(), torch.tensor([[odds, -odds]])),
    ):
        torch.testing.assert_close(certainty(task, logits), torch.tensor(-entropy))


def test_confidence_of_certain_predictions_is_zero_and_finite() -> None:
    for task in (Multiclass(), Multilabel()):
        logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
        value = certainty(task, logits)
        torch.testing.assert_close(value, torch.zeros(()))
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.isfinite().all()


def test_regression_has_no_confidence() -> None:
    assert certainty(Regression(), torch.ones(2, 1)) == 0


def test_feature_l2_is_the_mean_squared_norm_over_all_rows() -> None:
    outputs = {
        "source": Outputs({}, torch.tensor([[3.0, 4.0]]), {}),
        "target": Outputs({}, torch.tensor([[1.0, 0.0], [0.0, 2.0]]), {}),
    }
    value = FeatureL2()(StepView(model(), {}, outputs, 0.0))
    assert value == (25 + 1 + 4) / 3


def test_feature_l2_has_gradient_2z_over_rows() -> None:
    fused = torch.randn(5, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(FeatureL2()(view(model(), fused=fused)), fused)
    torch.testing.assert_close(gradient, 2 * fused.detach() / 5)
