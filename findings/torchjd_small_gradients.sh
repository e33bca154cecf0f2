#!/usr/bin/env bash
# torchjd 0.18.0, aggregators of task gradients with a default norm_eps of 1e-4, "a small value to avoid division by
# zero": it is compared with the *square* of the norm of all task gradients together, so that below a norm of 0.01 the
# method is switched off, with nothing said. CAGrad then returns zeros, and training stops for good; UPGrad and DualProj
# return the plain mean, the conflict they exist to avoid included. All three are homogeneous: gradients c times as large
# give an update c times as large. Losses in small units are there from the first step, such as squared errors of targets
# that vary by hundredths. FairGrad, which is not homogeneous, has no such option, and its solver stops early there:
# weights are too small.
# Seen, two conflicting gradients (1, 0) and (-3, 1), times c: for c = 4e-3 the update over c is CAGrad (-0.44, 0.5),
# UPGrad (0.05, 0.65), DualProj (0, 0.5); for c = 2e-3 zeros, (-1, 0.5) and (-1, 0.5), along which the first loss rises;
# norm_eps=0 gives the first ones again. 2000 steps of CAGrad on two losses with one minimum, in units of 1e-4, end where
# they began, at 1.0; the mean's end at 0.0. FairGrad's weight for one gradient of norm 1e-3 is 472, not 1 / norm = 1000,
# for 1e-4 512, not 10000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchjd==0.18.0 numpy==2.4.6 scipy==1.17.1 \
    cvxpy==1.9.3 clarabel==0.11.1 qpsolvers==4.13.0 quadprog==0.1.14
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import torch
from torchjd.aggregation import CAGrad, DualProj, FairGradWeighting, Mean, UPGrad
from torchjd.linalg import QuadprogProjector

print("torch", torch.__version__, "torchjd", version("torchjd"))
gradients = torch.tensor([[1.0, 0.0], [-3.0, 1.0]], dtype=torch.float64)
exact = QuadprogProjector(norm_eps=0.0)
METHODS = {
    "CAGrad": (CAGrad(c=0.5), CAGrad(c=0.5, norm_eps=0.0)),
    "UPGrad": (UPGrad(), UPGrad(projector=exact)),
    "DualProj": (DualProj(), DualProj(projector=exact)),
}
mean = gradients.mean(0)
for name, (usual, without) in METHODS.items():
    large, small, free = ((method(c * gradients) / c) for method, c in ((usual, 4e-3), (usual, 2e-3), (without, 2e-3)))
    rounded = [[round(float(v), 2) for v in update] for update in (large, small, free)]
    print(f"{name}: update / c for c = 4e-3 {rounded[0]}, for 2e-3 {rounded[1]}, with norm_eps=0 {rounded[2]}")
    off = torch.zeros(2) if name == "CAGrad" else mean
    assert torch.allclose(small, off.double(), atol=1e-6), "the behaviour has changed"
    assert torch.allclose(large, free, atol=1e-3) and not torch.allclose(large, off.double(), atol=1e-2)
    worst = float((gradients @ small).min()), float((gradients @ free).min())  # how the losses fall along it
    assert name == "CAGrad" or worst[0] < -0.9 < -0.01 < worst[1], "the behaviour has changed"


def ends(aggregator):
    """Return the sum of two losses, in units of 1e-4, after 2000 steps from 1.0; both are least in the same point."""
    x = torch.tensor([1.0, 1.0], dtype=torch.float64)
    scales = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
    for _ in range(2000):
        x = x - 100 * aggregator(1e-4 * scales * x)  # gradients of 1e-4 · Σ scales · x² / 2
    return float((scales * x**2 / 2).sum())


losses = {name: ends(method) for name, method in (("CAGrad", CAGrad(c=0.5)), ("the mean", Mean()))}
print("2000 steps from a loss of 1.0:", {name: round(loss, 4) for name, loss in losses.items()})
assert losses["CAGrad"] == 1.0 and losses["the mean"] < 1e-3, "the behaviour has changed"
# one task, α = 1: G w = 1 / w has the solution 1 / norm
for norm, right in ((1e-1, True), (1e-3, False), (1e-4, False)):
    weight = float(FairGradWeighting(alpha=1.0)(torch.tensor([[norm**2]], dtype=torch.float64)))
    print(f"FairGrad: weight {weight:.0f} for a gradient of norm {norm:.0e}, should be {1 / norm:.0f}")
    assert (abs(weight * norm - 1) < 0.01) == right, "the behaviour has changed"
PY
