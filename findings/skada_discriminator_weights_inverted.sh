#!/usr/bin/env bash
# skada 0.6.0, DiscriminatorReweight (covariate shift: source rows weighted by how likely they are in the target): the
# weights are the inverse of the density ratio. A classifier learns p = P(target | x), and the weight is (1 - p) / p,
# where the ratio, which the library's other estimates of it find, is p / (1 - p). Source rows that look like the target
# count least, so that a model is worse on the target than without adaptation. Nothing warns: weights are positive and
# have mean 1.
# Seen, source N(0, 1), target N(1, 1), where the ratio is exp(x - 1/2) and the weighted source has mean 1: log-weights
# have slope -1.02 in x and the weighted mean is -1.02 (GaussianReweight: slope 1.02, mean 1.00). The line that fits y =
# x² best on the target has slope 2 and a mean squared error of 2: 1.8 and 2.0 by GaussianReweight, 0.0 and 7.2 without
# weights, -2.1 and 38.5 by DiscriminatorReweight.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skada==0.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 POT==0.9.7.post1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from skada import (
    DiscriminatorReweight,
    DiscriminatorReweightAdapter,
    GaussianReweight,
    GaussianReweightAdapter,
    source_target_split,
)
from sklearn.linear_model import LinearRegression

print("skada", version("skada"), "scikit-learn", version("scikit-learn"))
draw = np.random.default_rng(0)
n = 4000
x = np.concatenate([draw.normal(0, 1, (n, 1)), draw.normal(1, 1, (n, 1))])
domain = np.repeat([1, -2], n)  # skada: sources positive, targets negative
source, target = source_target_split(x, sample_domain=domain)
true = np.exp(source[:, 0] - 0.5)
print(f"by the closed form: slope 1, weighted mean {np.average(source[:, 0], weights=true):.2f}")
found = {}
for adapter in (DiscriminatorReweightAdapter(), GaussianReweightAdapter()):
    weights = adapter.fit_transform(x, sample_domain=domain)[1]["sample_weight"][:n]
    slope = np.polyfit(source[:, 0], np.log(weights), 1)[0]
    mean = np.average(source[:, 0], weights=weights)
    found[type(adapter).__name__] = slope, mean
    print(f"{type(adapter).__name__}: slope {slope:.2f}, weighted mean {mean:.2f}, all positive: {bool((weights > 0).all())}")

y = x[:, 0] ** 2
masked = np.where(domain > 0, y, np.nan)  # targets have no labels
learners = {
    "without weights": None,
    "GaussianReweight": GaussianReweight,
    "DiscriminatorReweight": DiscriminatorReweight,
}
errors = {}
for name, method in learners.items():
    line = LinearRegression().set_fit_request(sample_weight=True)
    if method is None:
        line.fit(source, y[:n])
        predicted, slope = line.predict(target), line.coef_[0]
    else:
        fitted = method(line).fit(x, masked.copy(), sample_domain=domain)
        predicted = fitted.predict(target, sample_domain=domain[n:])
        slope = np.polyfit(target[:, 0], predicted, 1)[0]
    errors[name] = float(np.mean((predicted - y[n:]) ** 2))
    print(f"line by {name}: slope {slope:.1f}, mean squared error on the target {errors[name]:.1f}")
assert abs(found["DiscriminatorReweightAdapter"][1] + 1) < 0.1, "the behaviour has changed"
assert abs(found["GaussianReweightAdapter"][1] - 1) < 0.1
assert errors["GaussianReweight"] < errors["without weights"]
assert errors["without weights"] < errors["DiscriminatorReweight"], "the behaviour has changed"
PY
