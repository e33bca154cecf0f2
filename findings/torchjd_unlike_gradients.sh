#!/usr/bin/env bash
# torchjd 0.18.0, two task gradients of which one is much longer, as of a cross-entropy beside a squared error in raw units.
# UPGrad and DualProj, whose point is that no task's loss rises along the update, lead uphill for the task with the short
# gradient, from a ratio of some 10 to 25 on, and at 1000 they are the plain mean. The Gramian is divided by its trace, so that
# its entry of a gradient 100 times shorter than the other is 1e-4, and reg_eps, 1e-4 too, is added to the diagonal: the short
# gradient counts as longer than it is, in a direction of its own, where nothing conflicts with it. The documentation says
# that this "ensures that it is positive definite". With reg_eps=1e-10 the promise holds.
# IMTLG and AlignedMTL, which are chosen because they balance gradients of any length, turn into their opposite in float32 at
# a ratio of some 1600: the Gramian holds squared lengths, and a pseudo-inverse, and a rank, with a tolerance of
# 2 · 1.2e-7 drop the smaller eigenvalue. The update is suddenly a thousand times as long and more, and
# leads uphill for the other task. In float64 both are right there. Nothing is said in any of these cases.
# Unlike norm_eps, see torchjd_small_gradients.sh, this depends on the ratio alone: it is the same in all units.
# Seen, g1 = (1, 0), g2 = r (-0.6, 0.8), cosine of the update with g1 for r = 1, 10, 30, 100, 1000: UPGrad 0.45, 0.07, -0.03,
# -0.34, -0.60, DualProj 0.45, -0.01, -0.06, -0.35, -0.60 (the mean: -0.60 for 1000), never below 0 with reg_eps=1e-10. IMTLG
# 0.45 for r = 1000 and -0.60 for 2000, of length 0.89 and 2001; AlignedMTL 0.14 and -0.60, 0.57 and 1000. Two squared
# distances, the second times 1000: by UPGrad the first loss falls from 0.62 to 0.40 and rises to 0.50, where the mean ends,
# too; with reg_eps=1e-10 it ends at 0.41.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchjd==0.18.0 numpy==2.4.6 qpsolvers==4.13.0 quadprog==0.1.14
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import torch
from torchjd.aggregation import IMTLG, AlignedMTL, DualProj, Mean, UPGrad
from torchjd.linalg import QuadprogProjector

print("torch", torch.__version__, "torchjd", version("torchjd"))
directions = torch.tensor([[1.0, 0.0], [-0.6, 0.8]], dtype=torch.float64)
exact = QuadprogProjector(reg_eps=1e-10)


def gradients(ratio, dtype=torch.float64):
    return (directions * torch.tensor([[1.0], [ratio]], dtype=torch.float64)).to(dtype)


def cosine(update):
    """Return that with the first gradient, which is (1, 0)."""
    return float(update[0] / update.norm())


RATIOS = (1, 10, 30, 100, 1000)
for method in (UPGrad, DualProj):
    usual, without = ([cosine(m(gradients(r))) for r in RATIOS] for m in (method(), method(projector=exact)))
    mean = cosine(Mean()(gradients(1000)))
    show = [[round(c, 2) for c in cosines] for cosines in (usual, without)]
    print(f"{method.__name__}, cosine with g1 for ratios {RATIOS}: {show[0]}, with reg_eps=1e-10 {show[1]}; mean {mean:.2f}")
    assert min(without) > -1e-3, "a small reg_eps no longer keeps the promise"
    assert usual[0] > 0.4 and usual[2] < -0.02 and usual[3] < -0.3, "the behaviour has changed"
    assert abs(usual[4] - mean) < 0.01, "the behaviour has changed"
    single = cosine(method()(gradients(1000, torch.float32)))
    assert abs(single - usual[4]) < 1e-3  # of any precision

for method in (IMTLG, AlignedMTL):
    for ratio, kept in ((1000, True), (2000, False)):
        found, right = method()(gradients(ratio, torch.float32)), method()(gradients(ratio))
        print(
            f"{method.__name__}, ratio {ratio}: cosine with g1 {cosine(found):.2f}, length {found.norm():.2f}; "
            f"in float64 {cosine(right):.2f}, {right.norm():.2f}"
        )
        assert cosine(right) > 0.1 and right.norm() < 1
        if method is IMTLG:  # equal projections, weights of a sum of 1
            w = torch.tensor([ratio, 1.0], dtype=torch.float64) / (ratio + 1)
            assert torch.allclose(right, w @ gradients(ratio), rtol=1e-6)
        assert torch.allclose(found.double(), right, rtol=1e-2) == kept, "the behaviour has changed"
        assert kept or (cosine(found) < -0.5 and found.norm() > 900), "the behaviour has changed"


def losses(x):
    """Half squared distances from (0, 0) and (1, 0), the second times 1000."""
    away = x - torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    scale = torch.tensor([1.0, 1000.0], dtype=torch.float64)
    return scale * away.square().sum(1) / 2, scale[:, None] * away


def ends(aggregator):
    """Return the first loss at its least on the way, and at the end."""
    x, seen = torch.tensor([0.5, 1.0], dtype=torch.float64), []
    for _ in range(2000):
        values, slopes = losses(x)
        seen.append(float(values[0]))
        x = x - 3e-4 * aggregator(slopes)
    return seen[0], min(seen), seen[-1]


found = {"UPGrad": ends(UPGrad()), "UPGrad, reg_eps=1e-10": ends(UPGrad(projector=exact)), "mean": ends(Mean())}
for name, (first, least, last) in found.items():
    print(f"{name}: the first loss starts at {first:.2f}, is {least:.2f} at its least, and ends at {last:.2f}")
assert abs(found["UPGrad"][2] - found["mean"][2]) < 0.01, "the behaviour has changed"
assert found["UPGrad"][2] > found["UPGrad"][1] + 0.05, "the behaviour has changed"
assert found["UPGrad, reg_eps=1e-10"][2] < found["UPGrad, reg_eps=1e-10"][1] + 0.01
PY
