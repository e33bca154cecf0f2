"""Look on while the test split is scored, and draw what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.specs import Spec
from jlrun.evaluation.scores import Observer
from jlrun.reporting.figures.classes import confusion
from jlrun.reporting.figures.samples import Sample, content_of, samples
from jlrun.tasks import Binary, Multiclass, Ordinal, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.recorder import Recorder

NUM_SAMPLES = 24


def test_observers(
    tasks: Sequence[TaskSpec], specs: Mapping[str, Spec], recorder: Recorder
) -> tuple[Observer, ...]:
    """Return the observers that record confusion matrices and sample predictions.

    Args:
        tasks: of the split; samples show the first. Dense ones have no figures.
        specs: modality -> spec; samples show the first.
        recorder: is given the figures.
    """
    exclusive = [spec for spec in tasks if isinstance(spec.task, Multiclass | Binary | Ordinal)]
    confusions = (ConfusionObserver(spec, recorder) for spec in exclusive)
    modality, spec = next(iter(specs.items()))
    shown = [task for task in tasks if not task.task.dense][:1]
    return (*confusions, *(SampleObserver(task, modality, spec, recorder) for task in shown))


class ConfusionObserver:
    """Counts how often which class is taken for which, and records ``confusion/<task>``."""

    def __init__(self, spec: TaskSpec, recorder: Recorder) -> None:
        self._spec = spec
        self._recorder = recorder
        count = len(spec.classes)
        self._matrix = torch.zeros(count, count, dtype=torch.long)  # true x predicted

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of a batch that is scored."""
        if objective.spec.name != self._spec.name:
            return
        true = batch.targets[self._spec.column].long().cpu()
        predicted = self._spec.task.decide(probabilities).long().cpu()
        count = len(self._matrix)
        self._matrix += torch.bincount(true * count + predicted, minlength=count**2).view(
            count, count
        )

    def finish(self, step: int) -> None:
        """Record what was seen, if anything was."""
        if not bool(self._matrix.any()):
            return  # no row has a label
        name = self._spec.name
        figure = confusion(self._matrix, self._spec.classes, f"{name}, test split")
        self._recorder.figure(f"confusion/{name}", figure, step)


class SampleObserver:
    """Keeps the first rows of the split with their predictions: ``samples/predictions``."""

    def __init__(self, task: TaskSpec, modality: str, spec: Spec, recorder: Recorder) -> None:
        self._task = task
        self._modality = modality
        self._spec = spec
        self._recorder = recorder
        self._samples: list[Sample] = []

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of a batch that is scored."""
        if objective.spec.name != self._task.name:
            return
        for i in range(min(batch.size, NUM_SAMPLES - len(self._samples))):
            target = batch.targets[self._task.column][i].cpu()
            self._samples.append(self._sample(batch, i, target, probabilities[i : i + 1].cpu()))

    def finish(self, step: int) -> None:
        """Record what was seen, if anything was."""
        if self._samples:
            figure = samples(self._samples, f"{self._task.name}, first rows of the test split")
            self._recorder.figure("samples/predictions", figure, step)

    def _sample(self, batch: Batch, row: int, target: Tensor, probabilities: Tensor) -> Sample:
        content = content_of(batch.inputs[self._modality][row].cpu(), self._spec)
        decision = self._task.task.decide(probabilities)[0]
        classes = self._task.classes
        if not classes:
            return Sample(content, f"{float(target):.3g}", f"{float(decision):.3g}")
        if target.ndim:
            true_names, found = _names(classes, target), _names(classes, decision)
            return Sample(content, true_names, found, correct=bool((target == decision).all()))
        true, predicted = int(target), int(decision)
        probability = float(probabilities[0, predicted])
        return Sample(content, classes[true], classes[predicted], probability, true == predicted)


def _names(classes: Sequence[str], labels: Tensor) -> str:
    return ", ".join(c for c, on in zip(classes, labels.tolist(), strict=True) if on) or "none"
