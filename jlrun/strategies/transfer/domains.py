"""Sources and a target: their objectives, and which head serves which task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from jlrun.data.labelled_streams import LabelledStreams, head_name
from jlrun.data.streams import Stream
from jlrun.tasks import TaskSpec
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class Domains:
    """Sources and target of a transfer.

    Attributes:
        sources: the data sets that should help; none if the weights come from elsewhere.
        target: the data set that matters.
        weights: source -> factor of its losses; 1 without an entry.
    """

    sources: tuple[LabelledStreams, ...]
    target: LabelledStreams
    weights: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def heads(self) -> Mapping[str, Mapping[str, str]]:
        """Source stream -> task -> head.

        A target task of the same name and classes has the same head. Else sources whose tasks
        mean the same share ``source_<task>``, and others have ``<source>_<task>``.
        """
        return {
            dataset.name: {s.name: self._head(dataset, s) for s in dataset.tasks}
            for dataset in self.sources
        }

    @cached_property
    def specs(self) -> dict[str, TaskSpec]:
        """Head -> the task it serves, of sources and target."""
        specs = {self.heads[f.name][s.name]: s for f in self.sources for s in f.tasks}
        return specs | {head_name(spec): spec for spec in self.target.tasks}

    def on_sources(self) -> tuple[Objective, ...]:
        """Return the objectives of the sources, weighted."""
        return tuple(
            objective
            for dataset in self.sources
            for objective in dataset.objectives(
                self.heads[dataset.name],
                f"{domain(dataset)}.",
                self.weights.get(domain(dataset), 1.0),
            )
        )

    def shared(self) -> tuple[Objective, ...]:
        """Return the objectives of the target whose heads the sources train."""
        trained = {head for heads in self.heads.values() for head in heads.values()}
        return tuple(o for o in self.target.objectives() if o.head in trained)

    def on_target_by_source_heads(self) -> tuple[Objective, ...]:
        """Return what the heads of the sources yield on the rows of the target."""
        own = {head_name(spec) for spec in self.target.tasks}
        return tuple(
            replace(o, label=f"target.{o.head}", stream=self.target.name, scale=1.0)
            for o in {o.head: o for o in self.on_sources()}.values()
            if o.head not in own
        )

    def streams(self, split: str, target: bool = True) -> dict[str, Stream]:
        """Return stream name -> stream of a split, of the sources and perhaps the target."""
        datasets = (*self.sources, self.target) if target else self.sources
        return {dataset.name: getattr(dataset, split) for dataset in datasets}

    def _head(self, dataset: LabelledStreams, spec: TaskSpec) -> str:
        for wanted in self.target.tasks:
            if wanted.name == spec.name and spec.shares_head_with(wanted):
                return head_name(wanted)
        same = [s for f in self.sources for s in f.tasks if s.name == spec.name]
        alike = all(spec.shares_head_with(other) for other in same)
        return f"source_{spec.name}" if alike else f"{domain(dataset)}_{spec.name}"


def domain(dataset: LabelledStreams) -> str:
    """Return what a source is called in records: ``source``, or its name among several."""
    return dataset.name.rpartition(".")[2]
