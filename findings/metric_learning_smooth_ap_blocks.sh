#!/usr/bin/env bash
# pytorch-metric-learning 2.9.0, SmoothAPLoss (1 minus a smooth average precision of each row as a query among the others,
# whose positives are the rows of its class): the labels are only counted. Positives are blocks of neighbouring rows, as
# many blocks as a class has rows, where as many as there are classes is meant. So classes are right only where rows are
# sorted by class and there are as many classes as rows in each. A batch of 8 classes of 4 rows, in the order that the
# library's own MPerClassSampler gives, is taken for 4 classes of 8 rows: the loss asks for classes to be merged two by
# two, and a model that does so gets 0. Shuffled rows get any partners. Nothing is said; only classes of unlike sizes are
# refused. The documentation online describes a later version, in which labels decide; 2.9.0 is the newest release.
# Seen, 8 classes of 4 rows by MPerClassSampler: one direction for each class, whose loss is 0.0000, gets 0.3243; one for
# each two classes, whose loss is 0.4444 (4 of 9), gets 0.0000. 4 classes of 4 rows, one direction for each: 0.0000 sorted,
# which is right, and 0.4524 to 0.6476 in five random orders, whose losses are all 0. Of random vectors, 4 classes of 4 rows,
# sorted, the loss agrees with the formula of the paper to 1e-6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 pytorch-metric-learning==2.9.0 numpy==2.4.6 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import torch
from pytorch_metric_learning.losses import SmoothAPLoss
from pytorch_metric_learning.samplers import MPerClassSampler

print("torch", torch.__version__, "pytorch-metric-learning", version("pytorch-metric-learning"))
TEMPERATURE = 0.01


def by_formula(vectors, labels):
    """Return the loss by the paper's formula: mean over queries of 1 - mean of rank among positives / rank among all."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    losses = []
    for query, label in enumerate(labels):
        s = unit @ unit[query]
        above = torch.sigmoid((s[None, :] - s[:, None]) / TEMPERATURE).fill_diagonal_(0)  # [i, j]: is j above i
        positive = labels == label
        ranks = 1 + above[positive][:, positive].sum(1), 1 + above[positive].sum(1)
        losses.append(1 - (ranks[0] / ranks[1]).mean())
    return float(torch.stack(losses).mean())


def show(what, vectors, labels):
    found, right = float(SmoothAPLoss(TEMPERATURE)(vectors, labels)), by_formula(vectors, labels)
    print(f"{what}: {found:.4f}, by the formula {right:.4f}")
    return found, right


directions = torch.eye(8, dtype=torch.float64)
all_labels = torch.arange(8).repeat_interleave(10)
labels = all_labels[list(MPerClassSampler(all_labels, m=4, batch_size=32, length_before_new_iter=32))]
places = torch.arange(8).repeat_interleave(4)  # of the classes in the batch
assert torch.equal(labels, labels[::4].repeat_interleave(4)) and len(set(labels.tolist())) == 8
apart = show("8 classes of 4 rows, by MPerClassSampler, each with a direction of its own", directions[places], labels)
merged = show("the same, classes merged two by two", directions[places // 2], labels)
assert abs(apart[1]) < 1e-9 and abs(merged[1] - 4 / 9) < 1e-9
assert apart[0] > 0.3 and abs(merged[0]) < 1e-6, "the behaviour has changed"

labels = torch.arange(4).repeat_interleave(4)
generator = torch.Generator().manual_seed(0)
vectors = torch.randn(16, 8, dtype=torch.float64, generator=generator)
usual = show("4 classes of 4 rows, sorted, random vectors", vectors, labels)
assert abs(usual[0] - usual[1]) < 1e-6
ordered = show("the same, each class with a direction of its own", directions[labels], labels)
assert max(map(abs, ordered)) < 1e-6
for _ in range(5):
    order = torch.randperm(16, generator=generator)
    shuffled = show("in a random order", directions[labels][order], labels[order])
    assert abs(shuffled[1]) < 1e-9 and shuffled[0] > 0.2, "the behaviour has changed"
PY
