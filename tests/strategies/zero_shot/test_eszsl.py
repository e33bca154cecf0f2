"""The head whose compatibility is solved for, and what solves it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.class_vectors import class_vectors
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.strategies.zero_shot import ESZSL, ClassSplit, ClosedForm, SolveEszsl
from tests.toy import ToyEncoder, hard_model, toy_stream

CLASSES = tuple("0123")
TABLE = {"0": [1, 0, 0], "1": [0, 1, 0], "2": [1, 1, 0], "3": [1, 1, 1]}
SPLIT = ClassSplit(CLASSES, seen=(0, 1, 2, 3), unseen=())
METHOD = ESZSL(gamma=0.5, lambda_=0.2, negative=-0.4)


def make_head() -> ClosedForm:
    return ClosedForm(6, 4, *CLASSES, attributes=TABLE)


def test_it_classifies_in_training_and_scores_by_the_solution_in_evaluation() -> None:
    head, x = make_head(), torch.randn(3, 6)
    torch.testing.assert_close(head.train()(x), head.classifier(x))
    assert (head.eval()(x) == 0).all()
    head.solution.normal_()
    vectors = F.normalize(class_vectors(TABLE, CLASSES, "x").values)
    torch.testing.assert_close(head(x), x @ head.solution @ vectors.T)
    assert {"solution", "class_vectors"} <= head.state_dict().keys()


def test_every_parameter_trains() -> None:
    head = make_head().train()
    head(torch.randn(1, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_the_solution_is_that_of_all_training_rows_at_once() -> None:
    torch.manual_seed(0)
    encoder = ToyEncoder()
    model = hard_model({"x": encoder}, Single({"x": 6}), {"largest": make_head()}).eval()
    stream = toy_stream(batch=7)
    term = SolveEszsl("largest", "dataset", "largest", SPLIT, METHOD)
    term.check(model)
    term.before_evaluation(model, {"dataset": stream})
    rows = stream.rows.fetch(torch.arange(len(stream.rows)))
    x = encoder(rows.inputs["x"]).double().detach()
    y = torch.where(F.one_hot(rows.targets["largest"], 4) == 1, 1.0, -0.4).double()
    s = F.normalize(class_vectors(TABLE, CLASSES, "x").values).double()
    left = torch.linalg.inv(x.T @ x + 0.5 * torch.eye(6))
    right = torch.linalg.inv(s.T @ s + 0.2 * torch.eye(3))
    head = model.heads["largest"]
    assert isinstance(head, ClosedForm)
    torch.testing.assert_close(
        head.solution.double(), left @ x.T @ y @ s @ right, rtol=1e-4, atol=1e-5
    )


def test_another_head_is_refused() -> None:
    model = hard_model({"x": ToyEncoder()}, Single({"x": 6}), {"largest": Linear(6, 4)})
    with pytest.raises(UserError, match=r"zero_shot\.head: zero_shot=eszsl solves for a head"):
        SolveEszsl("largest", "dataset", "largest", SPLIT, METHOD).check(model)
