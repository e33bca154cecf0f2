"""Two and three ranks equal one process; a new YAML joins by itself."""

from __future__ import annotations

import pytest

from jlrun.objective.weightings import GradientWeighting
from tests.models.fusions.test_battery import SEVERAL
from tests.models.sharing.small import NODES as SHARINGS
from tests.objective.balance.small import ACTING, FUSIONS
from tests.objective.weightings.test_battery import NODES, made
from tests.ranks import cases
from tests.ranks.comparing import check_equal
from tests.ranks.processes import Processes
from tests.training.test_resumed_terms import ALONE as PRETRAINING
from tests.training.test_resumed_terms import OPTIONS as TERMS

OF_GRADIENTS = [name for name in NODES if isinstance(made(name), GradientWeighting)]


def sources_of(name: str) -> tuple[str, ...]:
    weighting = made(name)
    return weighting.sources if isinstance(weighting, GradientWeighting) else ("features",)


EACH = [(name, source) for name in NODES for source in sources_of(name)]


@pytest.mark.parametrize(("name", "source"), EACH)
def test_weightings(processes: Processes, name: str, source: str) -> None:
    check_equal(processes, cases.weighting, name, {"gradients": source}, {})


@pytest.mark.parametrize("option", ACTING)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_balances(processes: Processes, option: str, fusion: str) -> None:
    check_equal(processes, cases.balance, option, fusion)


@pytest.mark.parametrize("option", TERMS)
def test_terms(processes: Processes, option: str) -> None:
    check_equal(processes, cases.term, option)


@pytest.mark.parametrize("option", PRETRAINING)
def test_terms_before_all_tasks(processes: Processes, option: str) -> None:
    check_equal(processes, cases.term, option, False)


@pytest.mark.parametrize("option", SHARINGS)
@pytest.mark.parametrize("weighting", ["uncertainty", "pcgrad"])
def test_sharings(processes: Processes, option: str, weighting: str) -> None:
    check_equal(processes, cases.sharing, option, weighting)


@pytest.mark.parametrize("option", SEVERAL)
@pytest.mark.parametrize("form", ["features", "tokens"])
def test_fusions(processes: Processes, option: str, form: str) -> None:
    check_equal(processes, cases.fusion, option, form)
