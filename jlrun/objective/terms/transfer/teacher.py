"""Teachers: models of finished runs, fed with the batches of a phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec
from jlrun.data.streams import Stream
from jlrun.data.transforms import InputTransform
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.terms.transfer.frozen import in_precision_of
from jlrun.tasks import TaskSpec


@dataclass(frozen=True)
class Teacher:
    """Trained model that others learn from.

    Attributes:
        model: in evaluation mode, without gradients.
        specs: modality -> spec of the model's input.
        heads: head -> its task.
    """

    model: JointModel
    specs: Mapping[str, Spec]
    heads: Mapping[str, TaskSpec]


class Teachers(Protocol):
    """Access to the models of finished runs, injected when a term is built."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        """Return modality -> spec of the inputs of the run's selected model.

        Raises:
            UserError: if there is no finished run.
        """
        ...

    def load(self, directory: Path, device: torch.device) -> Teacher:
        """Return the selected model of the run in ``directory``.

        Raises:
            UserError: if there is no finished run.
        """
        ...


class TeacherAdapter:
    """Model of a finished run, fed with the batches of a phase.

    Images are resized and their channels converted to what the teacher takes. Images, tables and
    series stay normalised by the statistics of their own data set, as they would be in the
    teacher's run.

    Args:
        teacher: the model and what it takes.
        streams: name -> stream of the phase.
        where: config path of the teacher, for messages.

    Raises:
        UserError: if a stream lacks a modality of the teacher's, or has it in a form that does not
            convert (texts of another vocabulary, audio at another rate).
    """

    def __init__(self, teacher: Teacher, streams: Mapping[str, Stream], where: str) -> None:
        self._teacher = teacher
        device = next(teacher.model.parameters()).device
        self._transform = {}
        specs = {m: _as_it_is(spec) for m, spec in teacher.specs.items()}
        for name, stream in streams.items():
            own = {m: _as_it_is(spec) for m, spec in stream._transform._targets.items()}
            for modality in teacher.specs:
                if modality not in own:
                    hint = did_you_mean(modality, own)
                    raise UserError.of(
                        where,
                        f"the teacher takes '{modality}', which this run does not have.{hint}",
                    )
            taken = {m: own[m] for m in teacher.specs}
            with located_at(where):
                self._transform[name] = InputTransform(taken, specs, device)

    @classmethod
    def of(
        cls,
        directory: Path,
        teachers: Teachers,
        streams: Mapping[str, Stream],
        device: torch.device,
        where: str,
    ) -> TeacherAdapter:
        """Return the adapter of the model of the run in ``directory``.

        Raises:
            UserError: as the class, or if there is no finished run.
        """
        with located_at(where):
            teacher = teachers.load(directory, device)
        return cls(teacher, streams, where)

    @property
    def heads(self) -> Mapping[str, TaskSpec]:
        """Head -> its task, of the teacher."""
        return self._teacher.heads

    def outputs(self, stream: str, batch: Batch) -> Outputs:
        """Return the teacher's outputs on a batch of the stream, without a graph."""
        model = self._teacher.model
        with torch.no_grad():
            return model(self._transform[stream](in_precision_of(model, batch)))


def _as_it_is(spec: Spec) -> Spec:
    """Return the spec of inputs that are normalised already."""
    match spec:
        case ImageSpec():
            return replace(spec, mean=(), std=())
        case TabularSpec() | SeriesSpec():
            count = len(spec.mean)
            return replace(spec, mean=(0.0,) * count, std=(1.0,) * count)
    return spec


@contextmanager
def located_at(where: str) -> Iterator[None]:
    """Prefix errors with the config key.

    Raises:
        UserError: if the block raises one.
    """
    try:
        yield
    except UserError as error:
        raise UserError([Problem(where, str(problem)) for problem in error.problems]) from error
