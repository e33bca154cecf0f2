"""Classes of a user that break the contract of their kind are refused in one line, exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jlrun.cli.main import main

FAULTY = """
import torch
from torch import nn

from jlrun.models.encoders import Encoder
from jlrun.models.fusions import Fusion
from jlrun.models.sharing import FeatureSharing
from jlrun.objective.balance import Balance
from jlrun.objective.terms import Term
from jlrun.objective.weightings import GradientWeighting, GramianWeighting, LossWeighting
from jlrun.tasks import Multiclass


class Widthless(nn.Module):
    def __init__(self, spec):
        super().__init__()


class Narrow(Encoder):
    def __init__(self, spec):
        super().__init__()
        self.layer, self.out_features = nn.Linear(64, 8), 16

    def forward(self, x):
        return self.layer(x.flatten(1))


class WidthlessFusion(Fusion):
    def __init__(self, features):
        super().__init__()

    def forward(self, features, present):
        return sum(features.values())


class Rowless(Fusion):
    def __init__(self, features):
        super().__init__()
        self.out_features = 1

    def forward(self, features, present):
        return sum(x.sum() for x in features.values())


class VectorTerm(Term):
    weight = 1.0

    def forward(self, view):
        return torch.ones(3)


class WeightlessTerm(Term):
    def forward(self, view):
        return torch.ones(())


class UnpreparedTerm(Term):
    weight = 1.0

    def __init__(self):
        pass

    def forward(self, view):
        return torch.ones(())


class VectorWeighting(LossWeighting):
    def forward(self, losses):
        return losses.values


class PlainNumber(LossWeighting):
    def forward(self, losses):
        return 1.0


class OneWeight(GramianWeighting):
    def weigh(self, gramian, losses):
        return torch.ones(1, dtype=torch.float64)


class NoUpdate(GradientWeighting):
    def forward(self, gradients):
        return gradients.jacobian


class Unmeasured(Balance):
    def measure(self, view):
        return None

    def after_backward(self, done):
        return {}


class WideHead(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.layer = nn.Linear(in_features, out_features + 1)

    def forward(self, x):
        return self.layer(x)


class ArgumentlessHead(nn.Module):
    pass


class Silent(FeatureSharing):
    def distribute(self, fused, tasks):
        return {}


class MeanLoss(Multiclass):
    def loss(self, logits, target):
        return super().loss(logits, target).mean()
"""

CASES = {
    "Widthless": ("backbone.image", "does not set self.out_features"),
    "Narrow": ("backbone.image", "(60, 8), not of shape (60, 16)"),
    "WidthlessFusion": ("fusion", "does not set self.out_features"),
    "Rowless": ("fusion", "of shape (), not of shape (60, 1)"),
    "VectorTerm": ("terms.mine", "of shape (3,), not a scalar tensor"),
    "WeightlessTerm": ("terms.mine", "does not set self.weight"),
    "UnpreparedTerm": ("terms.mine", "does not call super().__init__()"),
    "VectorWeighting": ("weighting", "of shape (2,), not a scalar tensor"),
    "PlainNumber": ("weighting", "returned a float, not a scalar tensor"),
    "OneWeight": ("weighting", "of shape (1,), not of shape (2,)"),
    "NoUpdate": ("weighting", "not of shape (30720,)"),
    "Unmeasured": ("balance", "returned a NoneType, not a Measured"),
    "WideHead": ("heads", "yields logits of shape (60, 11), and the task takes 10"),
    "ArgumentlessHead": ("heads", "must take in_features and out_features first"),
    "Silent": ("sharing", "returned no features for ['digit', 'parity']"),
    "MeanLoss": ("dataset.tasks.digit", "of shape (), not of shape (60,)"),
}
# options without keys of their own, so that the class takes their place
PLAIN = {
    "backbone.image": ["~backbone.image.hidden", "~backbone.image.dropout", "backbone/image=mlp"],
    "fusion": ["fusion=none", "mode=multimodal"],
    "heads": ["heads=linear", "~heads.bias"],
    "balance": ["balance=none", "mode=multimodal"],
    "terms.mine": [],
    "dataset.tasks.digit": [],
    "weighting": ["weighting=equal"],
    "sharing": ["sharing=hard"],
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_contract_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(FAULTY, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    place, said = CASES[name]
    quick = ["dataset.limit=60", "epochs=1", "baselines=false", "engine.threads=1"]
    mode = [] if "mode=multimodal" in PLAIN[place] else ["mode=multitask"]
    new = "+" if place == "terms.mine" else ""
    target = f"{new}{place}._target_=mine.{name}"
    assert main(["--trust", "mine", *mode, *PLAIN[place], target, *quick]) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert len([line for line in errors.splitlines() if said in line]) == 1, errors
