"""The model with modalities missing, and heads of choice."""

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.encoders.base import Encoder
from jlrun.fusions import Concat
from jlrun.model import JointModel
from tests.toy import hard_model


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
    other = Batch(
        {**first.inputs, "right": torch.where(mask[:, None], 1.0, 99.0)}, present={"right": mask}
    )
    torch.testing.assert_close(joint(first).logits["a"], joint(other).logits["a"])


def test_only_the_named_heads_are_applied() -> None:
    assert list(model()(batch({}), ["b"]).logits) == ["b"]
