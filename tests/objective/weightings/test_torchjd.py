"""Aggregators of TorchJD by name."""

from functools import partial
from importlib.util import find_spec

import pytest
import torch

from jlrun.errors import UserError
from jlrun.objective.weightings import TorchJD
from tests.objective.weightings.gradient_steps import (
    assert_inactive_is_absent,
    random_jacobians,
    step,
)

TASKS = ("a", "b", "c")


@pytest.mark.parametrize("name", ["AlignedMTL", "IMTLG", "MGDA", "Mean", "Random", "PCGrad"])
def test_a_weighted_aggregator_gives_its_update_and_its_weights(name: str) -> None:
    import torchjd.aggregation

    (jacobian,) = random_jacobians(1)
    weighting = TorchJD(TASKS, name).double()
    torch.manual_seed(0)
    expected = getattr(torchjd.aggregation, name)()(jacobian)
    torch.manual_seed(0)
    update = weighting(step(jacobian))
    torch.testing.assert_close(update, expected)
    torch.testing.assert_close(weighting.last_weights @ jacobian, expected)
    assert weighting.reuses_weights


@pytest.mark.parametrize("name", ["ConFIG", "GradDrop"])
def test_an_aggregator_without_weights_records_ones(name: str) -> None:
    import torchjd.aggregation

    (jacobian,) = random_jacobians(1)
    weighting = TorchJD(TASKS, name).double()
    torch.manual_seed(0)
    expected = getattr(torchjd.aggregation, name)()(jacobian)
    torch.manual_seed(0)
    torch.testing.assert_close(weighting(step(jacobian)), expected)
    assert weighting.last_weights.tolist() == [1.0, 1.0, 1.0]
    assert not weighting.reuses_weights


def test_options_by_task_become_vectors_of_the_active_tasks() -> None:
    weighting = TorchJD(TASKS, "Constant", {"weights": {"c": 3, "a": 1, "b": 2.5, "d": 9}}).double()
    (jacobian,) = random_jacobians(1)
    weighting(step(jacobian))
    assert weighting.last_weights.tolist() == [1.0, 2.5, 3.0]
    update = weighting(step(jacobian, active=[True, False, True]))
    assert weighting.last_weights.tolist() == [1.0, 0.0, 3.0]
    torch.testing.assert_close(update, jacobian[0] + 3 * jacobian[2])


def test_other_options_reach_the_constructor() -> None:
    weighting = TorchJD(TASKS, "TrimmedMean", {"trim_number": 1})
    jacobian = torch.tensor([[1.0], [5.0], [100.0]])
    assert weighting(step(jacobian)).tolist() == [5.0]


@pytest.mark.parametrize("name", ["AlignedMTL", "ConFIG", "IMTLG"])
def test_rows_of_inactive_tasks_are_left_out(name: str) -> None:
    make = partial(TorchJD, aggregator=name)
    assert_inactive_is_absent(make, [step(j) for j in random_jacobians(2)])


def test_without_active_tasks_the_update_is_zero() -> None:
    weighting = TorchJD(TASKS)
    assert weighting(step(torch.zeros(3, 2), active=[False] * 3)).tolist() == [0.0, 0.0]


def test_making_one_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    TorchJD(TASKS, "Random")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "options", "where", "message"),
    [
        ("UPGrd", {}, "weighting.aggregator", "Did you mean 'UPGrad'"),
        ("Aggregator", {}, "weighting.aggregator", "no aggregator 'Aggregator'"),
        ("MGDAWeighting", {}, "weighting.aggregator", "no aggregator 'MGDAWeighting'"),
        ("GradVac", {}, "weighting.aggregator", "state .* use weighting=gradvac"),
        ("ExcessMTL", {}, "weighting.aggregator", "state .* use weighting=excess"),
        ("NashMTL", {}, "weighting.aggregator", "state .* use weighting=nash"),
        ("PCD", {}, "weighting.aggregator", "state"),
        ("MGDA", {"no_such": 1}, "weighting.options", "MGDA rejects it: .*no_such"),
        ("TrimmedMean", {}, "weighting.options", "trim_number"),
        ("Krum", {"n_byzantine": 1}, "weighting.options", "at least 4 rows"),
        ("Constant", {"weights": [1, 2, 3]}, "weighting.options", "Constant rejects it"),
        ("Constant", {"weights": {"a": 1, "b": 2}}, "weighting.options.weights.c", "a number"),
        ("Constant", {"weights": {"a": 1, "b": 2, "c": "x"}}, "weighting.options.weights.c", "'x'"),
    ],
)
def test_mistakes_are_told(name: str, options: dict, where: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        TorchJD(TASKS, name, options)
    assert [problem.where for problem in caught.value.problems] == [where]


@pytest.mark.parametrize(
    ("name", "package", "extra", "options"),
    [
        ("UPGrad", "quadprog", "quadprog_projector", {}),
        ("CAGrad", "cvxpy", "cagrad", {"c": 0.4}),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    name: str, package: str, extra: str, options: dict
) -> None:
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(
        UserError, match=rf"{package}.*torchjd\[{extra}\].*weighting={name.lower()}"
    ):
        TorchJD(TASKS, name, options)


def test_options_for_unknown_tasks_are_refused() -> None:
    weighting = TorchJD(("digit",), "Constant", {"weights": {"digit": 1, "partiy": 1}})
    with pytest.raises(UserError, match="Did you mean 'parity'"):
        weighting.check(("digit", "parity"))
