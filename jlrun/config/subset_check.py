"""Check the keys of a data set that choose its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from jlrun.config.messages import problems_of
from jlrun.config.parts import datasets
from jlrun.config.signatures import coerced, read_signature
from jlrun.config.slots import subset_keys
from jlrun.data.splits import Subset
from jlrun.errors import Problem


def check_subsets(config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with ``shots``, ``limit`` and the like of each data set."""
    signature = read_signature(Subset, 0)
    problems: list[Problem] = []
    for key, node in datasets(config).items():
        for name in subset_keys() & node.keys():
            try:
                coerced(signature, {name: node[name]})
            except ValidationError as error:
                problems += problems_of(f"{key}.{name}", node[name], error)
    return sorted(problems, key=lambda problem: problem.where)
