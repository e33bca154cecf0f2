#!/usr/bin/env bash
# torchmetrics 1.9.0, R2Score: a prediction that is worse than the mean gets 1.0, the best score there is, where
# targets are small numbers. Sums of squared residuals below 1e-4 count as none at all, whatever the spread of the
# targets: three targets in thousandths are enough. In units a thousand times larger the same data scores −2.
# Seen: 1.0 for data in thousandths, -2.0 for the same data times 1000; scikit-learn 1.9.1 gives -2.0 for both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchmetrics==1.9.0 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import sklearn, torch, torchmetrics
from sklearn.metrics import r2_score
from torchmetrics import R2Score

print("torch", torch.__version__, "torchmetrics", torchmetrics.__version__, "scikit-learn", sklearn.__version__)
target = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
predicted = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
for name, unit in (("thousandths", 1e-3), ("units", 1.0)):
    found = float(R2Score()(predicted * unit, target * unit))
    print(f"{name}: torchmetrics {found:.4f}, scikit-learn {r2_score(target * unit, predicted * unit):.4f}")
    assert abs(found - (1.0 if unit < 1 else -2.0)) < 1e-6, "the behaviour has changed"
PY
