"""Look on while the test split is scored, and draw what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.texts import text_of
from jlrun.evaluation import Observer
from jlrun.figures.confusion import confusion
from jlrun.figures.samples import Sample, samples
from jlrun.phase import Objective
from jlrun.recorders.base import Recorder
from jlrun.tasks import Binary, Multiclass, TaskSpec

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
    exclusive = [spec for spec in tasks if isinstance(spec.task, Multiclass | Binary)]
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
        if objective.spec.name != self._spec.name:
            return
        true = batch.targets[self._spec.column].long().cpu()
        predicted = self._spec.task.decide(probabilities).long().cpu()
        count = len(self._matrix)
        self._matrix += torch.bincount(true * count + predicted, minlength=count**2).view(
            count, count
        )

    def finish(self, step: int) -> None:
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
        if objective.spec.name != self._task.name:
            return
        for i in range(min(batch.size, NUM_SAMPLES - len(self._samples))):
            target = batch.targets[self._task.column][i].cpu()
            self._samples.append(self._sample(batch, i, target, probabilities[i : i + 1].cpu()))

    def finish(self, step: int) -> None:
        if self._samples:
            figure = samples(self._samples, f"{self._task.name}, first rows of the test split")
            self._recorder.figure("samples/predictions", figure, step)

    def _sample(self, batch: Batch, row: int, target: Tensor, probabilities: Tensor) -> Sample:
        content = self._content(batch.inputs[self._modality][row].cpu())
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

    def _content(self, x: Tensor) -> Tensor | str:
        match self._spec:
            case ImageSpec(mean=mean, std=std):
                shape = (-1, 1, 1)
                return (x * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)).clamp(
                    0, 1
                )
            case TextSpec():
                return text_of(x, self._spec)
            case TabularSpec():
                return _cells(x, self._spec)
            case SeriesSpec(mean=mean, std=std):
                return x * torch.tensor(std) + torch.tensor(mean)
        return x


def _cells(x: Tensor, spec: TabularSpec) -> str:
    """Return the cells of a row that are not missing, as ``name: value; …``."""
    columns = zip(spec.numbers, x.tolist(), spec.mean, spec.std, strict=False)
    known = [f"{name}: {v * std + mean:.4g}" for name, v, mean, std in columns if not isnan(v)]
    levels = x[len(spec.numbers) :].long().tolist()
    for name, names, level in zip(spec.categories, spec.levels, levels, strict=True):
        known += [f"{name}: {names[level - 1]}"] if level else []
    return "; ".join(known) or "nothing"


def _names(classes: Sequence[str], labels: Tensor) -> str:
    return ", ".join(c for c, on in zip(classes, labels.tolist(), strict=True) if on) or "none"
