#!/usr/bin/env bash
# torchmetrics 1.9.0, BinaryAUROC: the area under the ROC curve depends on ranks alone, so logits should give what
# their ranks give. They are turned into float32 probabilities first, which are all 1.0 from a logit of 17 on: a
# confident model's positives and negatives tie, and its score moves towards 0.5. Casting to float64 by hand before
# the sigmoid, or handing in ranks, gives the right area.
# Seen: 0.6667 for the logits, 0.8333 for their ranks scaled into (0, 1); scikit-learn 1.9.1 gives 0.8333 for the logits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchmetrics==1.9.0 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import sklearn, torch, torchmetrics
from sklearn.metrics import roc_auc_score
from torchmetrics.classification import BinaryAUROC

print("torch", torch.__version__, "torchmetrics", torchmetrics.__version__, "scikit-learn", sklearn.__version__)
logits, labels = torch.tensor([17.0, 18.0, 19.0, 20.0, -1.0]), torch.tensor([0, 1, 0, 1, 0])
ranks = logits.argsort().argsort() / 10
by_logits, by_ranks = float(BinaryAUROC()(logits, labels)), float(BinaryAUROC()(ranks, labels))
right = roc_auc_score(labels, logits)
print(f"torchmetrics: logits {by_logits:.4f}, ranks {by_ranks:.4f}; scikit-learn: logits {right:.4f}")
assert abs(by_ranks - right) < 1e-6
assert abs(by_logits - 2 / 3) < 1e-4, "the behaviour has changed"
PY
