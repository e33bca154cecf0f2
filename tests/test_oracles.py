"""What tests compare with is there: a comparison that skips for want of a library says nothing."""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
# Modules that tests skip without, of the libraries of the extra ``oracles``.
USED = {
    "skada": ("skada.metrics", "skada.deep.losses", "skada.deep._adversarial"),
    "lightly": ("lightly.loss", "lightly.loss.lejepa_loss"),
    "pytorch-metric-learning": ("pytorch_metric_learning.losses",),
    "timm": ("timm",),
    "transformers": ("transformers",),
    "rtdl-revisiting-models": ("rtdl_revisiting_models",),
    "rtdl_num_embeddings": ("rtdl_num_embeddings",),
    "tabm": ("tabm",),
}


@pytest.mark.parametrize("library", USED)
def test_a_library_that_is_installed_has_what_tests_use(library: str) -> None:
    """skada, for one, installs without what its deep part needs."""
    try:
        version(library)
    except PackageNotFoundError:
        pytest.skip(f"{library} is not installed")
    for module in USED[library]:
        import_module(module)


def test_the_extra_names_them() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    named = {line.partition(">")[0].partition("[")[0] for line in extras["oracles"]}
    assert named >= set(USED)
    assert any("skada[deep]" in line for line in extras["oracles"])
    assert any("oracles" in line for line in extras["dev"])
