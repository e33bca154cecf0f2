"""Program of a run: tensors by modality, as its data holds them, to predictions by task."""

# B rows, C classes

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.rows import NamedRows, TensorRows
from jlrun.data.specs import Spec
from jlrun.data.transforms import InputTransform, to_unit
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.evaluation.scores import Prediction
from jlrun.evaluation.temperature import Tempered, tempered
from jlrun.files.run_directory import BEST
from jlrun.models.joint_model import JointModel, trunks
from jlrun.models.lora import merge_lora
from jlrun.runs.calibrated import Calibrated, calibrated
from jlrun.runs.new_predictions import model_runs
from jlrun.runs.predicting import predict_rows
from jlrun.runs.saved_model import SavedModel, Teacher, load_teacher, read_description
from jlrun.tasks.objective import Objective

Tensors = dict[str, Tensor]
CPU = torch.device("cpu")


class Program(nn.Module):
    """Trained model with what is done to its inputs and outputs, without anything of Python.

    It takes inputs as a data set holds them (`jlrun.data.rows.TensorRows`) and standardises them
    itself; numbers are predicted in the units of the data.

    Args:
        model: in evaluation mode, changed in place.
        specs: modality -> what the model takes.
        chosen: the tasks, and the temperatures of their probabilities.
    """

    def __init__(self, model: JointModel, specs: Mapping[str, Spec], chosen: Calibrated) -> None:
        super().__init__()
        self.model = model
        for trunk in trunks(model):
            trunk.whole_batches = True
        self._transform = InputTransform(specs, {}, CPU)
        self._chosen = chosen

    def forward(self, inputs: Tensors, present: Tensors) -> Tensors:
        """Return task -> predictions, float64, as `jlrun.tasks.Task.probabilities` gives them:
        probabilities of classes or labels ``(B, C)``, numbers ``(B, 1)``, or maps in float32.

        Args:
            inputs: modality -> rows ``(B, ...)``, of all modalities.
            present: modality -> Bool ``(B,)``, which rows have it; those that lack it hold any
                values. Every row has at least one modality.
        """
        batch = self._transform(to_unit(Batch(inputs, present=present)))
        logits = self.model(batch, [o.head for o in self._chosen.scored]).logits
        return {o.spec.name: self._predicted(o, logits[o.head]) for o in self._chosen.scored}

    def _predicted(self, objective: Objective, logits: Tensor) -> Tensor:
        task = objective.spec.task
        found = Prediction.of(task, logits).probabilities
        temperature = self._chosen.temperatures.get(objective.label, 1.0)
        return tempered(task, found, temperature) if isinstance(task, Tempered) else found


@dataclass(frozen=True)
class Exportable:
    """Run that is exported as a program.

    Attributes:
        program: of its model, low-rank adapters folded in.
        specs: modality -> what the model takes.
        chosen: its tasks, and what their probabilities are.
        saved: the model as the run has it, in float32 on the CPU.
    """

    program: Program
    specs: Mapping[str, Spec]
    chosen: Calibrated
    saved: SavedModel

    @property
    def masked(self) -> tuple[str, ...]:
        """Modalities whose presence in a row is an input: all, if there are several."""
        return tuple(self.specs) if len(self.specs) > 1 else ()

    def own_predictions(self, inputs: Tensors, present: Tensors) -> Tensors:
        """Return task -> what the run itself predicts, as ``jlrun predict`` does."""
        count = len(next(iter(inputs.values())))
        rows = NamedRows(tuple(map(str, range(count))), TensorRows(inputs, {}, present))
        found = predict_rows(self.saved, rows, self.chosen)
        return {task: prediction.probabilities for task, prediction in found.items()}


def load_exportable(
    directory: Path, checkpoint: str = BEST, temperature: bool = False, thresholds: bool = False
) -> Exportable:
    """Return the program of a run's model.

    Args:
        directory: of the run.
        checkpoint: ``best``, the selected weights, or ``last``.
        temperature: whether probabilities are those at the fitted temperature.
        thresholds: whether tuned ones decide; else 0.5.

    Raises:
        UserError: if there is no such run or checkpoint, it learned no task, or has no temperatures
            or thresholds.
    """
    members = model_runs(directory)
    if len(members) > 1:
        message = f"a cross-validation has a model of each fold; name one, such as {members[0]}"
        raise UserError.of("RUN", message)
    own, other = (load_teacher(directory, CPU, checkpoint) for _ in range(2))
    scored = _scored(directory, own)
    chosen = calibrated(directory, scored, temperature, thresholds)
    merge_lora(other.model)
    engine = Engine(CPU, channels_last=False)
    saved = SavedModel(own.model, engine, own.specs, chosen.scored)
    return Exportable(Program(other.model, own.specs, chosen).eval(), own.specs, chosen, saved)


def _scored(directory: Path, teacher: Teacher) -> tuple[Objective, ...]:
    heads = read_description(directory)["scored"]
    if not heads:
        message = "this run learned no task (pretraining.only): only safetensors can hold it"
        raise UserError.of("--format", message)
    specs = {head: teacher.heads[head] for head in heads}
    return tuple(Objective(spec.name, "input", spec, head) for head, spec in specs.items())
