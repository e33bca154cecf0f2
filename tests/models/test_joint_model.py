"""The model with modalities missing, and heads of choice."""

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Concat, Single
from jlrun.models.joint_model import JointModel
from tests.toy import ToyEncoder, hard_model


class Doubling(Encoder):
    """Remembers how many rows it has seen."""

    out_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        return 2 * x


def model() -> JointModel:
    encoders = {"left": Doubling(), "right": Doubling()}
    fusion = Concat({"left": 2, "right": 2})
    heads = {"a": nn.Linear(fusion.out_features, 3), "b": nn.Linear(fusion.out_features, 1)}
    return hard_model(encoders, fusion, heads)


def batch(present: dict[str, Tensor]) -> Batch:
    return Batch({"left": torch.ones(4, 2), "right": torch.ones(4, 2)}, present=present)


def test_encoders_see_the_rows_that_are_present_only() -> None:
    joint = model()
    mask = torch.tensor([True, False, True, True])
    outputs = joint(batch({"right": mask}))
    assert joint.body.trunk.encoders["left"].rows == 4
    assert joint.body.trunk.encoders["right"].rows == 3
    assert outputs.features["right"].tolist() == [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0], [2.0, 2.0]]


def test_a_modality_absent_from_a_whole_batch_is_not_encoded() -> None:
    joint = model()
    outputs = joint(batch({"right": torch.zeros(4).bool()}))
    assert joint.body.trunk.encoders["right"].rows == 0
    assert torch.isfinite(outputs.logits["a"]).all()


def test_content_of_an_absent_modality_does_not_matter() -> None:
    joint, mask = model().eval(), torch.tensor([True, False, True, True])
    first = batch({"right": mask})
    right = torch.where(mask[:, None], 1.0, 99.0).expand(4, 2)
    other = Batch({**first.inputs, "right": right}, present={"right": mask})
    torch.testing.assert_close(joint(first).logits["a"], joint(other).logits["a"])


def test_only_the_named_heads_are_applied() -> None:
    assert list(model()(batch({}), ["b"]).logits) == ["b"]


def test_rows_without_the_only_modality_have_zero_features() -> None:
    fusion = Single({"left": 2})
    joint = hard_model({"left": Doubling()}, fusion, {"a": nn.Linear(2, 3)})
    outputs = joint(batch({"left": torch.zeros(4).bool()}))
    assert outputs.fused.tolist() == [[0.0, 0.0]] * 4
    assert outputs.logits["a"].equal(joint.heads["a"].bias.expand(4, 3))


def test_one_row_with_a_modality_is_normalised_by_running_statistics() -> None:
    """A lone row has no variance, which BatchNorm refuses."""
    encoders = {m: ToyEncoder(dropout=0.0) for m in ("left", "right")}
    fusion = Concat(dict.fromkeys(encoders, 6))
    joint = hard_model(encoders, fusion, {"a": nn.Linear(12, 3)}).train()
    lone = torch.tensor([False, True, False, False])
    inputs = {m: torch.randn(4, 4) for m in encoders}
    norm = encoders["right"].layers[1]
    before = norm.state_dict()["running_mean"].clone()
    outputs = joint(Batch(inputs, present={"right": lone}))
    assert norm.training
    assert norm.state_dict()["running_mean"].equal(before)
    expected = encoders["right"].eval()(inputs["right"][1:2])
    torch.testing.assert_close(outputs.features["right"][1:2], expected)
