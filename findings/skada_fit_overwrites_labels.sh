#!/usr/bin/env bash
# skada 0.6.0: fitting a pipeline that hides the target's labels from the learner (the default) hides them from its caller,
# too. They are overwritten in the array that was handed in, -1 for classes and nan for numbers: whoever fits on X, y and
# scores on the target afterwards, as every benchmark does, compares predictions with -1, and so does whatever is fitted or
# counted on the same array later. fit says nothing; scikit-learn's estimators do not write into y. y.copy() helps.
# Seen: source and target of 1000 rows each from one distribution, CORAL with logistic regression: accuracy on the target
# 0.970 with a copy handed in, 0.000 without; all 1000 labels of the target are -1 afterwards, those of a pandas Series, too.
# Ridge on numbers: all 1000 are nan.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skada==0.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 POT==0.9.7.post1 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from skada import CORAL, make_da_pipeline
from sklearn.linear_model import LogisticRegression, Ridge

print("skada", version("skada"), "scikit-learn", version("scikit-learn"))
n = 1000
x = np.random.default_rng(0).normal(size=(2 * n, 3))
domain = np.repeat([1, -2], n)  # skada: sources positive, targets negative
labels, numbers = (x.sum(1) > 0).astype(int), x.sum(1)


def accuracy(handed_in, y):
    """Return the accuracy on the target, by labels y, of a model fitted on what is handed in."""
    model = CORAL(LogisticRegression()).fit(x, handed_in, sample_domain=domain)
    return float((model.predict(x[n:], sample_domain=domain[n:]) == y[n:]).mean())


y = labels.copy()
right, wrong = accuracy(y.copy(), y), accuracy(y, y)
print(f"accuracy on the target: {right:.3f} with a copy handed in, {wrong:.3f} without")
print("labels afterwards: target", np.unique(y[n:]), "source", np.unique(y[:n]))
series, real = pd.Series(labels.copy()), numbers.copy()
make_da_pipeline(LogisticRegression()).fit(x, series, sample_domain=domain)
make_da_pipeline(Ridge()).fit(x, real, sample_domain=domain)
print("of a Series: target", series[n:].unique(), "- numbers of the target that are nan:", int(np.isnan(real[n:]).sum()))
assert right > 0.9 and wrong == 0 and set(y[n:]) == {-1}, "the behaviour has changed"
assert np.array_equal(y[:n], labels[:n])
assert set(series[n:]) == {-1} and np.isnan(real[n:]).all(), "the behaviour has changed"
PY
