"""What a subclass must name is exported by a package, so that nobody has to look for its module."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib import import_module

import pytest

from jlrun.models.encoders import Encoder
from jlrun.models.fusions import Fusion, TokenFusion
from jlrun.models.sharing import FeatureSharing, Sharing, TrunkSharing
from jlrun.objective.balance import Balance
from jlrun.objective.terms import Term
from jlrun.objective.weightings import GradientWeighting, GramianWeighting, LossWeighting, Weighting
from jlrun.tasks import Task

BASES = [Term, Weighting, LossWeighting, GradientWeighting, GramianWeighting, Balance]
BASES += [Encoder, Fusion, TokenFusion, Sharing, FeatureSharing, TrunkSharing, Task]


def jlrun_names(module: str) -> dict[str, str]:
    """Return name -> defining module, of what a module of jlrun defines or imports from jlrun."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    found = {n.name: module for n in tree.body if isinstance(n, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jlrun."):
            found |= {alias.name: str(node.module) for alias in node.names}
        elif isinstance(node, ast.Assign) and node in tree.body:
            found |= {t.id: module for t in node.targets if isinstance(t, ast.Name)}
    return found


def names_in_annotations(base: type) -> set[str]:
    """Return the identifiers in the annotations of a class and of its methods."""
    texts = list(map(str, vars(base).get("__annotations__", {}).values()))
    for member in vars(base).values():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            texts += map(str, function.__annotations__.values())
    trees = (ast.parse(text) for text in texts)
    return {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}


def packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts) + 1)]


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_what_a_subclass_names_is_exported(base: type) -> None:
    known = jlrun_names(base.__module__)
    named = {name: known[name] for name in names_in_annotations(base) if name in known}
    for name, module in {**named, base.__name__: base.__module__}.items():
        packages = [import_module(package) for package in packages_of(module)]
        exporting = [p for p in packages if name in getattr(p, "__all__", ())]
        assert exporting, f"{name} of {module}, which a subclass of {base.__name__} names"
        assert getattr(exporting[0], name) is getattr(import_module(module), name)
