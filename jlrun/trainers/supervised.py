"""The fit that most plans are made of: one supervised phase on one data set."""

from __future__ import annotations

from jlrun.phase import Fit, Phase, Recipe
from jlrun.trainers.parts import Feed


def supervised_fit(
    name: str,
    data: Feed,
    *,
    modalities: tuple[str, ...],
    epochs: int,
    recipe: Recipe,
) -> Fit:
    """Return a fit that learns all tasks of ``data`` from ``modalities`` in one phase."""
    objectives = data.objectives()
    phase = Phase(
        name="train",
        train={data.name: data.train},
        val={data.name: data.val},
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=recipe,
    )
    return Fit(
        name=name,
        modalities=modalities,
        heads={spec.name: spec for spec in data.tasks},
        phases=(phase,),
        scored=objectives,
    )
