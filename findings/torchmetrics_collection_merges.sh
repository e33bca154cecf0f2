#!/usr/bin/env bash
# torchmetrics 1.9.0, MetricCollection: two metrics whose counts are equal after the first batch are taken for one, from then
# on and after reset(), too. Only the first by name is updated, and the other one reports from its counts. Arguments
# are not looked at: top_k, threshold and ignore_index may differ. A first batch that the model gets right (a strong model,
# an easy or a small batch) is enough. Documented is that metrics which share their state are found, not that one batch
# decides. The same batches in another order give other scores. forward() in place of update() does not merge, nor does
# compute_groups=False.
# Seen, two batches, the first with each row right, over all rows: top-1 and top-2 accuracy 0.5 and 0.5 (alone 0.5 and 1.0),
# recall at thresholds of 0.5 and 0.9 1.0 and 1.0 (alone 1.0 and 0.4), accuracy with and without the background class
# 0.7143 and 0.7143 (alone 0.7143 and 0.5); with the second batch first, or by forward(), as alone. In the next epoch, after
# reset(), with the batches the other way round, still the wrong ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchmetrics==1.9.0
"$folder/venv/bin/python" - <<'PY'
import torch, torchmetrics
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryRecall, MulticlassAccuracy

print("torch", torch.__version__, "torchmetrics", torchmetrics.__version__)
eye, second = torch.eye(4), torch.eye(4) + 2 * torch.eye(4).roll(1, dims=1)  # labels first, labels second
CASES = {
    "top-1 and top-2 accuracy": (
        lambda: {"a": MulticlassAccuracy(num_classes=4), "b": MulticlassAccuracy(num_classes=4, top_k=2)},
        [(eye, torch.arange(4)), (second, torch.arange(4))],
        (0.5, 1.0),
    ),
    "recall at 0.5 and 0.9": (
        lambda: {"a": BinaryRecall(threshold=0.5), "b": BinaryRecall(threshold=0.9)},
        [
            (torch.tensor([0.97, 0.95, 0.02, 0.04]), torch.tensor([1, 1, 0, 0])),
            (torch.tensor([0.6, 0.7, 0.8, 0.3]), torch.tensor([1, 1, 1, 0])),
        ],
        (1.0, 0.4),
    ),
    "accuracy with and without class 0": (
        lambda: {
            "a": MulticlassAccuracy(num_classes=4, average="micro"),
            "b": MulticlassAccuracy(num_classes=4, average="micro", ignore_index=0),
        },
        [(eye[[1, 2]], torch.tensor([1, 2])), (eye[[0, 0, 0, 1, 2]], torch.tensor([0, 0, 0, 2, 1]))],
        (5 / 7, 0.5),
    ),
}


def together(collection, batches, step="update"):
    """Return both scores of a collection after the batches."""
    for batch in batches:
        getattr(collection, step)(*batch)
    scores = collection.compute()
    return tuple(round(float(scores[name]), 4) for name in "ab")


def alone(metric, batches):
    for batch in batches:
        metric.update(*batch)
    return round(float(metric.compute()), 4)


for what, (make, batches, right) in CASES.items():
    collection = MetricCollection(make())
    found = together(collection, batches)
    collection.reset()
    later = together(collection, batches[::-1])
    other = {
        "alone": tuple(alone(metric, batches) for metric in make().values()),
        "second batch first": together(MetricCollection(make()), batches[::-1]),
        "by forward()": together(MetricCollection(make()), batches, "forward"),
        "compute_groups=False": together(MetricCollection(make(), compute_groups=False), batches),
    }
    print(f"{what}: {found}, next epoch {later},", ", ".join(f"{name} {scores}" for name, scores in other.items()))
    assert all(abs(s - r) < 1e-3 for scores in other.values() for s, r in zip(scores, right)), what
    assert found == later == (other["alone"][0],) * 2 and found[1] != other["alone"][1], "the behaviour has changed"
PY
