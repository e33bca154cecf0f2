#!/usr/bin/env bash
# torchmetrics 1.9.0, scores averaged over classes ("macro") where a class has no row in the test split, as happens with
# rare classes and in the folds of small data: MulticlassAUROC and MultilabelAUROC count the absent class as 0, so that a
# model that ranks every row perfectly scores 0.75 with three of four classes present. MulticlassAveragePrecision of the
# same rows leaves the class out and gives 1.0, MultilabelAveragePrecision counts it as 0. A warning is all that is said.
# Seen: AUROC 0.75 and 0.75, average precision 1.0 (multiclass) and 0.75 (multilabel); over the present classes alone, by
# scikit-learn 1.9.1, 1.0 in all four cases.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchmetrics==1.9.0 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch
import torchmetrics
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.classification import (
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MultilabelAUROC,
    MultilabelAveragePrecision,
)

print("torch", torch.__version__, "torchmetrics", torchmetrics.__version__)
labels = torch.tensor([0, 1, 2, 0, 1, 2])  # class 3 is absent
truth = torch.nn.functional.one_hot(labels, 4)
scores = truth * 0.9 + 0.025
present = truth.any(0)
reference = [
    sum(measure(truth[:, c], scores[:, c]) for c in range(4) if present[c]) / int(present.sum())
    for measure in (roc_auc_score, average_precision_score)
]
seen = {
    "multiclass AUROC": float(MulticlassAUROC(4)(scores, labels)),
    "multilabel AUROC": float(MultilabelAUROC(4)(scores, truth)),
    "multiclass average precision": float(MulticlassAveragePrecision(4)(scores, labels)),
    "multilabel average precision": float(MultilabelAveragePrecision(4)(scores, truth)),
}
for name, value in seen.items():
    print(f"{name}: {value:.4f}")
print("of the classes present, by scikit-learn:", reference)
assert reference == [1.0, 1.0]
assert [round(value, 4) for value in seen.values()] == [0.75, 0.75, 1.0, 0.75], "the behaviour has changed"
PY
