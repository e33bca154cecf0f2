"""Every option of ``conf/validator`` passes the same checks."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import yaml

from jlrun.config.build import build
from jlrun.config.slots import VALIDATOR
from jlrun.evaluation.validators import BNM, DEV, SND, Evidence, Validator, snd
from jlrun.evaluation.validators import base as predictions
from jlrun.evaluation.validators import dev as density_ratio
from tests.evaluation.validators.clusters import K, clusters, shuffled

CONF = Path(__file__).parents[3] / "conf" / "validator"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
TENSORS = [field.name for field in fields(Evidence)]
CERTAIN = 1e30  # as large as logits get before they overflow

each = pytest.mark.parametrize("option", OPTIONS)


def make(option: str) -> Validator:
    return build(yaml.safe_load((CONF / f"{option}.yaml").read_text(encoding="utf-8")), VALIDATOR)


@each
def test_the_config_shows_name_and_defaults(option: str) -> None:
    made = make(option)
    assert made.name == option
    assert made == type(made)()
    shown = yaml.safe_load((CONF / f"{option}.yaml").read_text(encoding="utf-8"))
    assert shown.keys() - {"_target_"} == vars(made).keys()


@each
def test_clusters_score_above_shuffled_predictions(option: str) -> None:
    good, bad = (make(option).score(evidence) for evidence in (clusters(), shuffled(clusters())))
    assert math.isfinite(bad)
    assert good > bad + 0.01


@each
def test_the_order_of_rows_and_classes_does_not_matter(option: str) -> None:
    evidence, generator = clusters(), torch.Generator().manual_seed(2)
    train, source, target = (
        torch.randperm(len(x), generator=generator)
        for x in (evidence.source_train_features, evidence.source_labels, evidence.target_logits)
    )
    classes = torch.tensor([2, 0, 1])
    permuted = Evidence(
        evidence.source_train_features[train],
        evidence.source_features[source],
        evidence.source_logits[source][:, classes],
        classes.argsort()[evidence.source_labels[source]],
        evidence.target_features[target],
        evidence.target_logits[target][:, classes],
    )
    assert make(option).score(permuted) == pytest.approx(make(option).score(evidence), abs=1e-5)


@each
def test_randomness_of_the_run_is_neither_used_nor_touched(option: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = make(option).score(clusters())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert make(option).score(clusters()) == first


@each
def test_one_logit_is_that_of_the_second_of_two_classes(option: str) -> None:
    two = clusters(num_classes=2)
    one = replace(
        two,
        source_logits=two.source_logits.diff(dim=1),
        target_logits=two.target_logits.diff(dim=1),
    )
    assert make(option).score(one) == pytest.approx(make(option).score(two), abs=1e-5)


@each
def test_rows_are_taken_a_few_at_a_time(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make(option).score(clusters())
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(snd, "ROWS_AT_ONCE", 7)
    assert make(option).score(clusters()) == pytest.approx(whole, rel=1e-9)


@each
@pytest.mark.parametrize("logit", [0.0, CERTAIN, -CERTAIN])
@pytest.mark.parametrize("rows", [1, 2, 9])
@pytest.mark.parametrize("num_classes", [1, K])
def test_degenerate_evidence_has_a_finite_score(
    option: str, logit: float, rows: int, num_classes: int
) -> None:
    logits = torch.zeros(rows, num_classes)
    logits[:, 0] = logit
    features = torch.full((rows, 2), 0.1)
    evidence = Evidence(
        features, features, logits, torch.zeros(rows, dtype=torch.int64), features, logits
    )
    assert math.isfinite(make(option).score(evidence))


@each
def test_domains_that_do_not_overlap_have_a_finite_score(option: str) -> None:
    evidence = clusters()
    far = replace(evidence, target_features=evidence.target_features + 1e6)
    odd = replace(evidence, source_features=evidence.source_features * 1e30)
    assert math.isfinite(make(option).score(far))
    assert math.isfinite(make(option).score(odd))


@each
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_that_diverged_is_never_selected(option: str, value: float) -> None:
    evidence = clusters()
    for tensor in (evidence.source_logits, evidence.target_logits, evidence.target_features):
        tensor[3, 1] = value
    assert make(option).score(evidence) == -math.inf


@each
def test_no_rows_are_nothing_to_select_by(option: str) -> None:
    evidence = clusters()
    empty = Evidence(*(getattr(evidence, name)[:0] for name in TENSORS))
    assert make(option).score(empty) == -math.inf


@pytest.mark.parametrize("validator", [SND(max_rows=200), DEV(max_rows=200)])
def test_a_subset_of_many_rows_is_fixed_and_stands_for_all(validator: SND | DEV) -> None:
    evidence = clusters(rows=600)
    some = validator.score(evidence)
    assert some == validator.score(evidence)
    scale = math.log(200 / 600) if isinstance(validator, SND) else 0.0  # entropy of fewer rows
    everything = replace(validator, max_rows=600).score(evidence)
    assert some != everything
    assert some == pytest.approx(everything + scale, abs=0.1)


def test_large_evidence_is_scored_without_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    entr = torch.special.entr
    monkeypatch.setattr(torch.special, "entr", lambda p: sizes.append(p.numel()) or entr(p))
    SND(max_rows=1000).score(clusters(rows=20_000))
    assert max(sizes) <= snd.ROWS_AT_ONCE * 1000
    assert sum(sizes) == 1000 * 1000


def test_bnm_of_many_rows_equals_the_singular_values() -> None:
    logits = clusters(rows=10_000).target_logits
    singular = torch.linalg.svdvals(logits.double().softmax(dim=1)).sum()
    expected = float(singular) / math.sqrt(10_000 * K)
    assert BNM().score(clusters(rows=10_000)) == pytest.approx(expected, rel=1e-9)


def test_a_penalty_is_selected_even_from_two_rows() -> None:
    rows = torch.tensor([[0.0], [1.0]])
    assert density_ratio.selected_l2(rows, rows + 1) in density_ratio.STRENGTHS
    assert density_ratio.selected_l2(rows[:1], rows) == max(density_ratio.STRENGTHS)
