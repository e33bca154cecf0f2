#!/usr/bin/env bash
# skada 0.6.0, KLIEPReweight (weights w(x) = Σ α_j k(x, c_j), α by maximum likelihood on the target, mean weight 1 on the
# source): the step length of the gradient ascent is the machine epsilon, 2.2e-16, so that α is never fitted. The loop
# ends after its second round at "no more progress", mostly with no warning; α is what the projection onto the constraints
# makes of the ones that it began with, and max_iter and tol have no say.
# Seen, source N(0, 1), target N(1/2, 1/4), 100 centres, gamma 2: α of up to 1000 rounds differs from α of one round by
# 4e-13; mean log-likelihood of the target 0.277, where the maximum under the same constraint is 0.452 (found by EM,
# certified by its duality gap); weights are 0.47 from the true density ratio on average, those of the maximum 0.03
# (weights of 1: 0.77).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet skada==0.6.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 POT==0.9.7.post1
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import warnings
from importlib.metadata import version

import numpy as np
from skada import KLIEPReweightAdapter
from sklearn.metrics.pairwise import rbf_kernel

print("skada", version("skada"), "scikit-learn", version("scikit-learn"))
draw = np.random.default_rng(0)
n, gamma = 1000, 2.0
source, target = draw.normal(0, 1, (n, 1)), draw.normal(0.5, 0.5, (n, 1))
x, domain = np.concatenate([source, target]), np.repeat([1, -2], n)


def fitted(**options):
    """Return the adapter fitted on the two domains."""
    return KLIEPReweightAdapter(gamma=gamma, n_centers=100, random_state=0, **options).fit(x, sample_domain=domain)


usual = fitted()  # max_iter=1000, tol=1e-6; a warning would end this script
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # one round warns, rightly
    moved = float(abs(fitted(max_iter=1).alpha_ - usual.alpha_).max())
print(f"α of up to 1000 rounds: largest {usual.alpha_.max():.2f}, off by {moved:.1e} from α of one round")

alpha, centers = usual.alpha_, usual.centers_
at_target = rbf_kernel(target, centers, gamma=gamma)
at_source = rbf_kernel(source, centers, gamma=gamma)
mean = at_source.mean(0)
assert abs(mean @ alpha - 1) < 1e-9 and (alpha >= 0).all()  # the constraints hold

# Maximum of mean(log(K α)) where mean · α = 1: with shares z = mean * α, the mixture weights of a likelihood, by EM.
densities = at_target / mean
shares = np.full(len(mean), 1 / len(mean))
for _ in range(3000):
    likely = densities * shares
    shares = (likely / likely.sum(1, keepdims=True)).mean(0)
best = shares / mean
gap = float((densities / (densities @ shares)[:, None]).mean(0).max() - 1)  # bounds how far from the maximum it is
likelihoods = {name: float(np.log(at_target @ a).mean()) for name, a in (("skada", alpha), ("maximum", best))}
print(f"mean log-likelihood: skada {likelihoods['skada']:.3f}, maximum {likelihoods['maximum']:.3f} (to within {gap:.0e})")

true = 2 * np.exp(source[:, 0] ** 2 / 2 - 2 * (source[:, 0] - 0.5) ** 2)
weights = {"skada": at_source @ alpha, "maximum": at_source @ best, "all 1": np.ones(n)}
for name, found in weights.items():
    print(f"{name}: mean distance from the true ratio {abs(found - true).mean():.2f}")
assert moved < 1e-9, "the behaviour has changed"
assert gap < 1e-3 and likelihoods["maximum"] - likelihoods["skada"] > 0.1, "the behaviour has changed"
PY
