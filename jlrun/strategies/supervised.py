"""The fit that most plans are made of: one supervised phase on one data set, or on several."""

from __future__ import annotations

from jlrun.data.labelled_streams import LabelledStreams, head_name
from jlrun.data.sampling import All, Sampling
from jlrun.training.plan import Fit, Phase, Recipe


def supervised_fit(
    name: str,
    datasets: tuple[LabelledStreams, ...],
    *,
    modalities: tuple[str, ...],
    epochs: int,
    recipe: Recipe,
    sampling: Sampling | None = None,
    independent_of: frozenset[str] | None = None,
) -> Fit:
    """Return a fit that learns all tasks of ``datasets`` from ``modalities`` in one phase.

    ``sampling`` is that of `Phase`, ``independent_of`` that of `Fit`.
    """
    objectives = tuple(objective for dataset in datasets for objective in dataset.objectives())
    phase = Phase(
        name="train",
        train={dataset.name: dataset.train for dataset in datasets},
        val={dataset.name: dataset.val for dataset in datasets},
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=recipe,
        sampling=sampling or All(),
    )
    return Fit(
        name=name,
        modalities=modalities,
        heads={head_name(spec): spec for dataset in datasets for spec in dataset.tasks},
        phases=(phase,),
        scored=objectives,
        independent_of=independent_of,
    )
