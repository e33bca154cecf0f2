"""Judges: what a validator is shown, which features are scored, and what is never looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.rows import Rows, TensorRows
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.evaluation.probes import representation_scores
from jlrun.evaluation.selectors import ByRepresentation, ByValidator
from jlrun.evaluation.validators import Evidence, InformationMaximization, SourceAccuracy, Validator
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms import Term
from jlrun.objective.terms.adaptation import AdaBN
from jlrun.strategies import transfer
from jlrun.strategies.plan_parts import PlanContext
from jlrun.tasks import Regression, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.averaging import WeightAverage
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder, FitResult
from jlrun.training.learner import build_learner
from jlrun.training.plan import Fit, Plan
from tests.toy import CPU, TASKS, toy_model, toy_recipe, toy_rows, toy_stream, toy_surroundings

SIGN, LARGEST = TASKS


class Witness(Validator):
    """Keeps what it is shown, and scores by the mean logit of the target."""

    name = "witness"

    def __init__(self) -> None:
        self.seen: list[Evidence] = []

    def score(self, evidence: Evidence) -> float:
        self.seen.append(evidence)
        return float(evidence.target_logits.mean())


def rows(seed: int, count: int, masked: int = 0) -> TensorRows:
    """Rows of which the first ``masked`` have no label of the first task."""
    found, mask = toy_rows(count, seed), torch.arange(count) >= masked
    return with_targets(found, dict(found.targets), {"sign": mask} if masked else {})


def with_targets(
    rows: Rows, targets: Mapping[str, Tensor], labelled: Mapping[str, Tensor] | None = None
) -> TensorRows:
    columns = rows.fetch(torch.arange(len(rows))).inputs
    return TensorRows(dict(columns), dict(targets), labelled=dict(labelled or {}))


def feed(
    name: str, seed: int, masked: int = 0, tasks: tuple[TaskSpec, ...] = TASKS, count: int = 20
) -> LabelledStreams:
    train, val, test = (toy_stream(name, rows(seed + i, count, masked)) for i in range(3))
    return LabelledStreams(name, train, val, test, toy_stream(name, rows(seed, count)), tasks)


def inputs(feed: LabelledStreams, split: str = "val") -> Tensor:
    return torch.cat([batch.inputs["x"] for batch in getattr(feed, split).sweep()])


def model() -> JointModel:
    return toy_model().eval()


@torch.no_grad()
def features_of(x: Tensor) -> Tensor:
    return model().body.trunk.encoders["x"](x)  # pyright: ignore


def shared(target: LabelledStreams) -> tuple[Objective, ...]:
    return target.objectives()


def judged(sources: list[LabelledStreams], target: LabelledStreams) -> tuple[list[Evidence], Any]:
    witness = Witness()
    selector = ByValidator(witness, sources, target, shared(target))
    return witness.seen, selector(model(), Engine(CPU), 1)


def test_evidence_is_of_all_sources_and_the_target_s_validation_rows() -> None:
    first, second, target = (
        feed("sources.a", 0),
        feed("sources.b", 10, count=12),
        feed("target", 20),
    )
    (sign, largest), selection = judged([first, second], target)
    both = torch.cat([inputs(first), inputs(second)])
    trained = torch.cat([inputs(first, "train"), inputs(second, "train")])
    torch.testing.assert_close(sign.source_train_features, features_of(trained))
    for evidence, head in ((sign, "sign"), (largest, "largest")):
        torch.testing.assert_close(evidence.source_features, features_of(both))
        torch.testing.assert_close(evidence.target_features, features_of(inputs(target)))
        logits = model().heads[head](features_of(both))
        torch.testing.assert_close(evidence.source_logits, logits)
        of_target = model().heads[head](features_of(inputs(target)))
        torch.testing.assert_close(evidence.target_logits, of_target)
    wanted = (both.sum(dim=1) > 0).long(), both.argmax(dim=1)
    assert torch.equal(sign.source_labels, wanted[0])
    assert torch.equal(largest.source_labels, wanted[1])
    mean = (sign.target_logits.mean() + largest.target_logits.mean()) / 2
    assert selection.score == pytest.approx(float(mean))


def test_unlabelled_rows_of_a_source_are_no_evidence_for_the_task_alone() -> None:
    source, target = feed("source", 0, masked=7), feed("target", 20)
    (sign, largest), _ = judged([source], target)
    torch.testing.assert_close(sign.source_features, features_of(inputs(source))[7:])
    assert torch.equal(sign.source_labels, (inputs(source)[7:].sum(dim=1) > 0).long())
    assert len(largest.source_features) == 20
    assert len(sign.source_train_features) == len(largest.source_train_features) == 20


def test_a_source_without_the_task_has_no_part_in_its_evidence() -> None:
    only, both, target = (
        feed("sources.a", 0, tasks=(SIGN,)),
        feed("sources.b", 10),
        feed("target", 20),
    )
    (sign, largest), _ = judged([only, both], target)
    assert len(sign.source_labels) == 40
    torch.testing.assert_close(largest.source_features, features_of(inputs(both)))


def test_all_validators_are_recorded_and_one_is_shown() -> None:
    source, target = feed("source", 0), feed("target", 20)
    selector = ByValidator(InformationMaximization(), [source], target, shared(target))
    selection = selector(model(), Engine(CPU), 1)
    assert selector.criterion == "validator/information_maximization"
    assert dict(selection.shown) == {selector.criterion: selection.score}
    names = {"source_accuracy", "information_maximization", "snd", "entropy", "bnm"}
    assert {tag.removeprefix("validator/") for tag in selection.values} == names
    assert all(math.isfinite(value) for value in selection.values.values())
    evaluated = torch.cat([model()(batch).logits["sign"] for batch in source.val.sweep()])
    right = (evaluated[:, 0] > 0).long() == (inputs(source).sum(dim=1) > 0)
    largest = torch.cat([model()(batch).logits["largest"] for batch in source.val.sweep()])
    also = largest.argmax(dim=1) == inputs(source).argmax(dim=1)
    expected = (right.double().mean() + also.double().mean()) / 2
    assert selection.values["validator/source_accuracy"] == pytest.approx(float(expected))


def test_tasks_without_exclusive_classes_are_refused() -> None:
    age = TaskSpec("age", Regression(), ())
    target = feed("target", 20, tasks=(age,))
    with pytest.raises(UserError, match=r"validator: 'age' has no exclusive classes.*tasks="):
        ByValidator(SourceAccuracy(), [feed("source", 0, tasks=(age,))], target, shared(target))


def test_features_are_scored_for_each_data_set_with_its_own_labels() -> None:
    feeds = [
        feed("datasets.a", 0),
        feed("datasets.b", 10, tasks=(TaskSpec("age", Regression(), ()),)),
    ]
    selection = ByRepresentation(feeds)(model(), Engine(CPU), 3)
    assert selection.score == 3.0
    train, val = (inputs(feeds[0], split) for split in ("train", "val"))
    expected = representation_scores(
        features_of(train),
        (train.sum(dim=1) > 0).long(),
        features_of(val),
        (val.sum(dim=1) > 0).long(),
    )
    for name, value in expected.items():
        assert selection.values[f"representation/datasets.a/{name}"] == pytest.approx(value)
    others = {tag.rpartition("/")[2] for tag in selection.values if "datasets.b" in tag}
    assert others == {"feature_std", "effective_rank"}, "a number is no class to be probed for"


def test_unlabelled_rows_are_not_probed_for() -> None:
    selection = ByRepresentation([feed("dataset", 0, masked=6)])(model(), Engine(CPU), 1)
    train, val = (inputs(feed("dataset", 0), split)[6:] for split in ("train", "val"))
    expected = representation_scores(
        features_of(train),
        (train.sum(dim=1) > 0).long(),
        features_of(val),
        (val.sum(dim=1) > 0).long(),
    )
    found = {tag.rpartition("/")[2]: value for tag, value in selection.values.items()}
    assert found["linear_accuracy"] == pytest.approx(expected["linear_accuracy"])


def test_no_label_at_all_leaves_what_needs_none() -> None:
    selection = ByRepresentation([feed("dataset", 0, masked=20)])(model(), Engine(CPU), 1)
    assert all(math.isfinite(value) for value in selection.values.values())


ADAPT = transfer.Adaptation(
    validator=InformationMaximization(), pretrain_epochs=1, joined=True, oracle=True
)


def adapted(
    target: LabelledStreams,
    path: Path,
    adaptation: transfer.Adaptation = ADAPT,
    terms: Mapping[str, type[Term]] | None = None,
    **recipe: Any,
) -> FitResult:
    def make_terms() -> dict[str, Term]:
        return {name: make() for name, make in (terms or {}).items()}

    needs = frozenset(term.needs for term in (terms or {}).values())
    parts = PlanContext(
        replace(toy_recipe(terms=make_terms), **recipe), ("x",), 4, baselines=False, needs=needs
    )
    domains = transfer.Domains((feed("source", 0),), target)
    plan = transfer.plan_adapt(domains, adaptation, parts)
    return run(plan.fits[0], plan, path)


def run(fit: Fit, plan: Plan, path: Path) -> FitResult:
    made = FitRun(fit, toy_model(), FitFolder(path, 0.0), toy_surroundings())
    return made.run(plan.val, plan.test)


def weights(path: Path, name: str = "best") -> dict[str, Tensor]:
    return checkpoints.load_tensors(path / name)


def equal(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.mark.parametrize("average", [False, True])
def test_the_oracle_is_told_and_changes_nothing(tmp_path: Path, average: bool) -> None:
    recipe = {"make_average": lambda: WeightAverage(0.9)} if average else {}
    target = feed("target", 20)
    told = adapted(target, tmp_path / "with", **recipe)
    quiet = adapted(target, tmp_path / "without", replace(ADAPT, oracle=False), **recipe)
    for name in ("best", "last", "pretrain"):
        assert equal(weights(tmp_path / "with", name), weights(tmp_path / "without", name))
    assert (told.selected, told.val, told.test) == (quiet.selected, quiet.val, quiet.test)
    assert quiet.last == quiet.oracle == {}
    accuracies = [
        sum(scores[t.name]["accuracy"] for t in TASKS) for scores in (told.test, told.last)
    ]
    best = sum(told.oracle[spec.name]["accuracy"] for spec in TASKS)
    assert best >= max(accuracies)


def test_the_last_epoch_is_scored_with_its_own_weights(tmp_path: Path) -> None:
    """Where the last epoch is selected, both scores are of the same weights."""

    class Later(Validator):
        name = "later"
        calls = 0

        def score(self, evidence: Evidence) -> float:
            Later.calls += 1
            return float(Later.calls)

    told = adapted(feed("target", 20), tmp_path, replace(ADAPT, validator=Later()))
    assert told.selected["epoch"] == 4
    assert told.last == told.test
    assert told.selected["criterion"] == "validator/later"


def corrupted(target: LabelledStreams) -> LabelledStreams:
    """The same inputs with the labels of other rows, but in the test split."""

    def wrong(stream: Any) -> Any:
        found = stream.rows
        turned = {name: y.roll(3) ^ 1 for name, y in found.targets.items()}
        return toy_stream("target", with_targets(found, turned))

    return replace(
        target, train=wrong(target.train), val=wrong(target.val), pool=wrong(target.pool)
    )


@pytest.mark.parametrize("oracle", [True, False])
def test_labels_of_the_target_are_never_seen(tmp_path: Path, oracle: bool) -> None:
    from jlrun.objective.terms.adaptation import CDAN, MCC

    terms: dict[str, type[Term]] = {"mcc": MCC, "cdan": CDAN}
    how = replace(ADAPT, oracle=oracle)
    right = adapted(feed("target", 20), tmp_path / "right", how, terms)
    wrong = adapted(corrupted(feed("target", 20)), tmp_path / "wrong", how, terms)
    for name in ("best", "last", "pretrain"):
        assert equal(weights(tmp_path / "right", name), weights(tmp_path / "wrong", name))
    assert (right.selected, right.val, right.test) == (wrong.selected, wrong.val, wrong.test)


def test_statistics_of_the_target_are_scored_and_kept(tmp_path: Path) -> None:
    """AdaBN in the loop: BatchNorm of what is selected has mean and variance of the target."""
    target = feed("target", 20)
    target = replace(target, pool=toy_stream("target", rows(20, 20)))
    adapted(target, tmp_path, terms={"adabn": AdaBN})
    kept = toy_model()
    checkpoints.load_model(tmp_path / "best", kept)
    layers = kept.eval().body.trunk.encoders["x"].layers  # pyright: ignore
    with torch.no_grad():
        seen = layers[0](inputs(target, "pool"))  # pyright: ignore
    torch.testing.assert_close(layers[1].running_mean, seen.mean(dim=0))  # pyright: ignore
    torch.testing.assert_close(layers[1].running_var, seen.var(dim=0))  # pyright: ignore


def test_statistics_of_the_target_follow_the_averaged_weights() -> None:
    """What is scored is the average with its own statistics; training gets its own back."""
    target = feed("target", 20)
    parts = PlanContext(
        replace(
            toy_recipe(terms=lambda: {"adabn": AdaBN()}), make_average=lambda: WeightAverage(0.9)
        ),
        ("x",),
        4,
        baselines=False,
    )
    domains = transfer.Domains((feed("source", 0),), target)
    phase = transfer.plan_adapt(domains, ADAPT, parts).fits[0].phases[-1]
    learner = build_learner(toy_model(), phase, Engine(CPU))
    own = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    norm = learner.model.body.trunk.encoders["x"].layers[1]  # pyright: ignore
    learner.after_step(0.0)
    with torch.no_grad():
        next(learner.model.parameters()).add_(1.0)
    learner.after_step(0.1)
    moved = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    with learner.to_be_scored(phase.train) as scored:
        statistics = norm.running_mean.clone()  # pyright: ignore
        assert not torch.equal(statistics, own["body.trunk.encoders.x.layers.1.running_mean"])
        assert not scored.training
    assert equal(moved, learner.model.state_dict())
